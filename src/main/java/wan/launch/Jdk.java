package wan.launch;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * An installed Java, described by the {@code release} file in its home; it is started to find out only where there is none.
 *
 * @param home the folder that holds {@code bin} and {@code release}
 * @param version as the file has it, for example {@code 25.0.3}
 * @param feature the first number of the version
 * @param modules the modules in the image, separated and surrounded by spaces; empty where the file does not say
 */
record Jdk(Path home, String version, int feature, String modules) {

    /** The lowest version that runs the program. */
    static final int LOWEST = 25;
    /** Far more than its properties are. */
    private static final int MOST_SAID_BYTES = 1 << 18;
    /** The last version with JVMCI, which TornadoVM needs. */
    static final int LAST_WITH_JVMCI = 26;

    /**
     * Reads the Java installed in a folder.
     *
     * @param home a Java home, or a macOS bundle that holds one in {@code Contents/Home}
     * @return null when there is none
     */
    static Jdk at(Path home) {
        Path inner = home.resolve("Contents").resolve("Home");
        Path root = Files.isDirectory(inner) ? inner : home;
        if (!Files.isRegularFile(executable(root))) {
            return null;
        }
        String release = "";
        try {
            release = Files.readString(root.resolve("release"), StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            // Some distributions and images leave it out.
        }
        String version = value(release, "JAVA_VERSION");
        if (version.isEmpty()) {
            version = asked(executable(root));
        }
        if (version.isEmpty()) {
            return null;
        }
        String modules = value(release, "MODULES");
        return new Jdk(root, version, feature(version), modules.isEmpty() ? "" : " " + modules + " ");
    }

    /** What the program itself says of its version; empty where it does not start. */
    private static String asked(Path executable) {
        try {
            Process process = new ProcessBuilder(executable.toString(), "-XshowSettings:properties", "-version")
                    .redirectErrorStream(true)
                    .start();
            process.getOutputStream().close();
            byte[] said = process.getInputStream().readNBytes(MOST_SAID_BYTES);
            process.destroy();
            for (String line : new String(said, StandardCharsets.ISO_8859_1).split("\n")) {
                if (line.strip().startsWith("java.version = ")) {
                    return line.strip().substring("java.version = ".length());
                }
            }
        } catch (IOException e) {
            // Not a program for this machine.
        }
        return "";
    }

    /** The {@code java} program. */
    Path executable() {
        return executable(home);
    }

    /** Whether the program runs on it: the version, and the Vector API which a trimmed image may lack. */
    boolean runsTheProgram() {
        return feature >= LOWEST && has("jdk.incubator.vector");
    }

    /** Whether TornadoVM runs on it as well. */
    boolean runsTornado() {
        return runsTheProgram() && feature <= LAST_WITH_JVMCI && has("jdk.internal.vm.ci");
    }

    private boolean has(String module) {
        return modules.isEmpty() || modules.contains(" " + module + " ");
    }

    /** The first number of a version, or 0 when it does not start with one; {@code 1.8.0_392} counts as 1. */
    static int feature(String version) {
        int feature = 0;
        for (int i = 0; i < version.length() && i < 4; i++) {
            char c = version.charAt(i);
            if (c < '0' || c > '9') {
                break;
            }
            feature = 10 * feature + (c - '0');
        }
        return feature;
    }

    /** Where a home keeps {@code java}. */
    static Path executable(Path home) {
        Path windows = home.resolve("bin").resolve("java.exe");
        return Files.isRegularFile(windows) ? windows : home.resolve("bin").resolve("java");
    }

    /** The value of {@code KEY="value"} in a release file, or empty. */
    private static String value(String release, String key) {
        for (String line : release.split("\n")) {
            if (line.startsWith(key) && line.startsWith("=", key.length())) {
                return line.substring(key.length() + 1).replace("\"", "").strip();
            }
        }
        return "";
    }
}
