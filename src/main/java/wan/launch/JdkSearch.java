package wan.launch;

import java.io.File;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Looks for a JDK that runs the program. What the user names ({@code --java}, {@code WAN_ATTN_JAVA}) is taken or is an error;
 * everything else is a proposal: {@code JAVA_HOME}, the Java that runs this, the best of the usual folders, {@code java} on
 * the PATH.
 */
final class JdkSearch {
    private final Map<String, String> env;
    private final Path runningHome;
    private final List<Path> folders;
    private final List<String> seen = new ArrayList<>();

    /**
     * A search in the given surroundings.
     *
     * @param env the environment variables
     * @param runningHome the home of the Java that runs the launcher
     * @param folders the folders that hold JDK homes
     */
    JdkSearch(Map<String, String> env, Path runningHome, List<Path> folders) {
        this.env = env;
        this.runningHome = runningHome;
        this.folders = folders;
    }

    /** The folders in which JDKs are usually installed, on this operating system and for this user. */
    static List<Path> usualFolders(Map<String, String> env, String userHome) {
        List<Path> folders = new ArrayList<>();
        folders.add(Path.of(userHome, ".sdkman", "candidates", "java"));
        folders.add(Path.of(userHome, ".jdks"));
        String programs = env.get("ProgramFiles");
        if (programs != null) {
            for (String vendor :
                    new String[] {"Java", "Eclipse Adoptium", "Microsoft", "Zulu", "Amazon Corretto", "BellSoft"}) {
                folders.add(Path.of(programs, vendor));
            }
            return folders;
        }
        folders.add(Path.of("/usr/lib/jvm"));
        folders.add(Path.of("/opt"));
        folders.add(Path.of("/usr/java"));
        folders.add(Path.of("/Library/Java/JavaVirtualMachines"));
        folders.add(Path.of(userHome, "Library", "Java", "JavaVirtualMachines"));
        return folders;
    }

    /**
     * The JDK the user named, if any.
     *
     * @param option the value of {@code --java}, or null
     * @return null when nothing was named
     * @throws LaunchException when what was named does not run the program
     */
    Jdk named(String option) throws LaunchException {
        String variable = env.get("WAN_ATTN_JAVA");
        if (option != null) {
            return resolve("--java " + option, option);
        }
        return variable == null || variable.isBlank() ? null : resolve("WAN_ATTN_JAVA=" + variable, variable);
    }

    /**
     * The first JDK that runs the program.
     *
     * @param forTornado whether it has to run TornadoVM too; then the lowest version of the usual folders is taken, not
     *     the highest, because a TornadoVM SDK is made for one version
     * @return null when there is none
     */
    Jdk find(boolean forTornado) {
        seen.clear();
        List<Jdk> first = new ArrayList<>();
        String javaHome = env.get("JAVA_HOME");
        if (javaHome != null && !javaHome.isBlank()) {
            add(first, "JAVA_HOME", path(javaHome));
        }
        add(first, "this Java", runningHome);
        Jdk found = best(first, forTornado, false);
        if (found != null) {
            return found;
        }
        List<Jdk> installed = new ArrayList<>();
        for (Path folder : folders) {
            addAll(installed, folder);
        }
        found = best(installed, forTornado, true);
        if (found != null) {
            return found;
        }
        List<Jdk> onPath = new ArrayList<>();
        String path = env.get("PATH");
        for (String folder : path == null ? new String[0] : path.split(File.pathSeparator)) {
            Path bin = folder.isBlank() ? null : path(folder);
            if (bin != null && bin.getParent() != null && Files.isRegularFile(Jdk.executable(bin.getParent()))) {
                add(onPath, "PATH", homeOf(Jdk.executable(bin.getParent())));
            }
        }
        return best(onPath, forTornado, false);
    }

    /** What the last {@link #find} looked at, for the message when it found nothing. */
    String seen() {
        StringBuilder text = new StringBuilder(String.join(", ", seen));
        for (Path folder : folders) {
            if (Files.isDirectory(folder)) {
                text.append(text.length() == 0 ? "" : ", ").append(folder.resolve("*"));
            }
        }
        return text.toString();
    }

    private Jdk resolve(String what, String value) throws LaunchException {
        Path given = path(value);
        Jdk jdk = given == null ? null : Jdk.at(Files.isRegularFile(given) ? homeOf(given) : given);
        if (jdk == null) {
            throw new LaunchException(2, what + ": expected a JDK home or its java program, found none there");
        }
        if (!jdk.runsTheProgram()) {
            throw new LaunchException(
                    2,
                    what + ": expected JDK " + Jdk.LOWEST + " or newer with the module jdk.incubator.vector, got Java "
                            + jdk.version());
        }
        return jdk;
    }

    private void add(List<Jdk> found, String source, Path home) {
        Jdk jdk = home == null ? null : Jdk.at(home);
        if (jdk != null) {
            found.add(jdk);
        }
        if (source != null) {
            String state = jdk == null ? "no Java" : jdk.version();
            seen.add(source + " " + (home == null ? "" : home + " ") + "(" + state + ")");
        }
    }

    private void addAll(List<Jdk> found, Path folder) {
        if (!Files.isDirectory(folder)) {
            return;
        }
        try (DirectoryStream<Path> homes = Files.newDirectoryStream(folder)) {
            for (Path home : homes) {
                Jdk jdk = Jdk.at(home);
                if (jdk != null) {
                    found.add(jdk);
                    seen.add(home + " (" + jdk.version() + ")");
                }
            }
        } catch (IOException e) {
            // A folder that cannot be listed holds no JDK for this user.
        }
    }

    private static Jdk best(List<Jdk> candidates, boolean forTornado, boolean byVersion) {
        Jdk best = null;
        for (Jdk jdk : candidates) {
            if (!(forTornado ? jdk.runsTornado() : jdk.runsTheProgram())) {
                continue;
            }
            if (best == null || byVersion && (forTornado ? compare(jdk, best) < 0 : compare(jdk, best) > 0)) {
                best = jdk;
            }
        }
        return best;
    }

    /** Compares versions number by number; what is not a number counts as 0. */
    static int compare(Jdk a, Jdk b) {
        return compare(a.version(), b.version());
    }

    /** As {@link #compare(Jdk, Jdk)}. */
    static int compare(String a, String b) {
        String[] left = a.split("[._+-]");
        String[] right = b.split("[._+-]");
        for (int i = 0; i < Math.max(left.length, right.length); i++) {
            int l = i < left.length ? Jdk.feature(left[i]) : 0;
            int r = i < right.length ? Jdk.feature(right[i]) : 0;
            if (l != r) {
                return Integer.compare(l, r);
            }
        }
        return 0;
    }

    /** The home of a {@code java} program, through symbolic links. */
    private static Path homeOf(Path executable) {
        try {
            Path bin = executable.toRealPath().getParent();
            return bin == null ? null : bin.getParent();
        } catch (IOException e) {
            return null;
        }
    }

    /** The path, or null for what cannot be one; surrounding quotes are a habit of Windows. */
    private static Path path(String text) {
        try {
            return Path.of(text.replace("\"", ""));
        } catch (InvalidPathException e) {
            return null;
        }
    }
}
