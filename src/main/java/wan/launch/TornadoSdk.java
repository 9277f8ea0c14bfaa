package wan.launch;

import java.io.File;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The flags a JVM needs for TornadoVM, from the SDK's own list.
 *
 * <p>An SDK brings {@code tornado-argfile.template} with the placeholder <code>${TORNADOVM_HOME}</code>, and its own tool
 * expands it to {@code tornado-argfile}. The template comes first here: it stays right when the SDK is moved.
 */
final class TornadoSdk {
    private static final String LOWEST = "5.2.0";
    private static final Pattern API = Pattern.compile("tornado-api-(\\d+(?:\\.\\d+)*)(?:-jdk(\\d+))?.*\\.jar");
    /** Calls natives, which would be warned of; the argfile does not list it. */
    private static final String CALLS_NATIVES = "tornado.drivers.cuda";

    private static final String PLACEHOLDER = "${TORNADOVM_HOME}";

    private TornadoSdk() {}

    /**
     * Reads the flags.
     *
     * @param home the folder {@code TORNADOVM_HOME} names
     * @return the flags in order, one argument each
     * @throws IOException when the folder holds no usable SDK; the message says why
     */
    static List<String> flags(Path home) throws IOException {
        Path file = home.resolve("tornado-argfile.template");
        if (!Files.isRegularFile(file)) {
            file = home.resolve("tornado-argfile");
        }
        String version = requireVersion(home);
        if (!Files.isRegularFile(file)) {
            throw new IOException("expected a tornado-argfile in it, got none; write it with"
                    + " bin/gen-tornado-argfile-template.py and the backend's name");
        }
        List<String> flags = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            String flag = line.strip();
            if (flag.isEmpty() || flag.startsWith("#")) {
                continue;
            }
            int space = flag.indexOf(' ');
            String name = space < 0 ? flag : flag.substring(0, space);
            flags.add(expand(name, home));
            if (space >= 0) {
                String value = expand(flag.substring(space).strip(), home);
                flags.add(name.endsWith("module-path") ? withoutWorkingFolder(value) : value);
            }
        }
        if (hasModule(home, CALLS_NATIVES)) {
            flags.add("--enable-native-access=" + CALLS_NATIVES);
        }
        flags.add("-Dwan.tornado.version=" + version);
        // A kernel that does not compile would otherwise run as plain Java, slowly and perhaps wrongly.
        flags.add("-Dtornado.recover.bailout=False");
        return flags;
    }

    private static boolean hasModule(Path home, String module) throws IOException {
        String jar = module.replace('.', '-') + "-[0-9]*.jar";
        try (DirectoryStream<Path> found = Files.newDirectoryStream(jars(home), jar)) {
            return found.iterator().hasNext();
        }
    }

    private static Path jars(Path home) {
        return home.resolve("share").resolve("java").resolve("tornado");
    }

    /** The API's jar has the version in its name. */
    private static String requireVersion(Path home) throws IOException {
        Path jars = jars(home);
        String expected = "expected a TornadoVM SDK " + LOWEST + "-jdk25 or newer there, got ";
        if (!Files.isDirectory(jars)) {
            throw new IOException(
                    expected + (Files.isDirectory(home) ? "a folder without share/java/tornado" : "no folder"));
        }
        try (DirectoryStream<Path> found = Files.newDirectoryStream(jars, "tornado-api-*.jar")) {
            for (Path jar : found) {
                Matcher name = API.matcher(jar.getFileName().toString());
                if (name.matches()
                        && JdkSearch.compare(name.group(1), LOWEST) >= 0
                        && jdk(name.group(2)) >= Jdk.LOWEST) {
                    return name.group(1) + (name.group(2) == null ? "" : "-jdk" + name.group(2));
                }
                throw new IOException(expected + jar.getFileName());
            }
        }
        throw new IOException(expected + "no tornado-api jar");
    }

    /** What it was made for; a version that does not say so is taken to fit. */
    private static int jdk(String suffix) {
        return suffix == null ? Jdk.LOWEST : Jdk.feature(suffix);
    }

    private static String expand(String text, Path home) {
        return text.replace(PLACEHOLDER, home.toString()).replace("\"", "");
    }

    /** Any jar in the folder the user happens to stand in would be a module, or an error. */
    private static String withoutWorkingFolder(String modulePath) {
        StringBuilder kept = new StringBuilder();
        for (String entry : modulePath.split(File.pathSeparator)) {
            if (!entry.equals(".") && !entry.isEmpty()) {
                kept.append(kept.length() == 0 ? "" : File.pathSeparator).append(entry);
            }
        }
        return kept.toString();
    }
}
