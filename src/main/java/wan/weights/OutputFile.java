package wan.weights;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;
import wan.op.WanException;

/** Writes a file in one go under a hidden name beside it, and moves it into place when it is whole. */
public final class OutputFile {
    /** Writes the content. */
    @FunctionalInterface
    public interface Content {
        /** Writes all of it. */
        void writeTo(OutputStream out) throws IOException;
    }

    private OutputFile() {}

    /**
     * Replaces the target, or leaves it as it is.
     *
     * @throws WanException if it cannot be written
     */
    public static void write(Path file, Content content) {
        Path target = Messages.destination(file);
        Path temporary = target.resolveSibling("." + target.getFileName() + "." + UUID.randomUUID() + ".tmp");
        temporary.toFile().deleteOnExit();
        try {
            try (OutputStream out = new BufferedOutputStream(
                    Files.newOutputStream(temporary, StandardOpenOption.CREATE_NEW), 1 << 18)) {
                content.writeTo(out);
            }
            Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw Messages.io(target, "cannot write", e);
        } finally {
            temporary.toFile().delete();
        }
    }
}
