package wan.launch;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The JVM's ahead-of-time cache of this program (JEP 514), which the build makes beside the jar: {@code wan-attn.aot}. It serves
 * one jar on one JDK; where anything differs, the JVM starts without it.
 */
final class StartCache {
    private StartCache() {}

    /**
     * The JVM's flags for the class path and, where there is one, the cache.
     *
     * @param classPath the class path of the launcher
     * @param fits whether the JVM is started without modules of others, which rule a cache out
     * @param wishes the user's own flags, which may name another cache or make one
     */
    static List<String> classPath(String classPath, boolean fits, String wishes) {
        if (classPath.contains(File.pathSeparator) || !classPath.endsWith(".jar")) {
            return List.of("-cp", classPath);
        }
        // The JVM compares absolute paths with those of the time when the cache was made.
        String jar = Path.of(classPath).toAbsolutePath().toString();
        if (jar.contains(File.pathSeparator)) {
            return List.of("-cp", classPath);
        }
        Path cache = Path.of(jar.substring(0, jar.length() - ".jar".length()) + ".aot");
        if (!fits || wishes.contains("-XX:AOT") || !Files.isRegularFile(cache)) {
            return List.of("-cp", jar);
        }
        // The JVM would print four lines of errors where a cache is for another JDK.
        return List.of("-XX:AOTCache=" + cache, "-Xlog:aot=off", "-Xlog:cds=off", "-cp", jar);
    }
}
