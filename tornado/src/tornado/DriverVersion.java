package tornado;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Which NVIDIA driver runs: TornadoVM's API does not say it, and a result should. */
final class DriverVersion {
    private static final Path FILE = Path.of("/proc/driver/nvidia/version");
    private static final Pattern VERSION = Pattern.compile("Kernel Module.*?\\s(\\d+(?:\\.\\d+)+)\\s");

    private DriverVersion() {}

    /** The version, or empty where there is none, or where it cannot be read. */
    static String nvidia() {
        try {
            return in(Files.readString(FILE));
        } catch (IOException e) {
            return "";
        }
    }

    static String in(String text) {
        Matcher matcher = VERSION.matcher(text);
        return matcher.find() ? matcher.group(1) : "";
    }
}
