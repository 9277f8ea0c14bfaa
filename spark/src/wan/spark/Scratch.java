package wan.spark;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import wan.op.WanException;

/** A folder of this machine for one task, where its cluster removes what a killed executor leaves. */
record Scratch(Path folder) implements AutoCloseable {
    static Scratch make() {
        Map<String, String> env = System.getenv();
        String folders = env.getOrDefault("LOCAL_DIRS", env.getOrDefault("SPARK_LOCAL_DIRS", ""));
        Path parent = Path.of(folders.isBlank() ? System.getProperty("java.io.tmpdir") : folders.split(",", -1)[0]);
        try {
            return new Scratch(Files.createTempDirectory(parent, "wan-attn-"));
        } catch (IOException e) {
            throw new WanException(parent + ": cannot write: " + e, e);
        }
    }

    @Override
    public void close() {
        try {
            remove(folder);
        } catch (IOException e) {
            System.getLogger("wan.spark").log(System.Logger.Level.DEBUG, "{0}: cannot remove: {1}", folder, e);
        }
    }

    private static void remove(Path path) throws IOException {
        if (Files.isDirectory(path)) {
            try (DirectoryStream<Path> files = Files.newDirectoryStream(path)) {
                for (Path file : files) {
                    remove(file);
                }
            }
        }
        boolean _ = Files.deleteIfExists(path);
    }
}
