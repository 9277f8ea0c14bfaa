package wan.file;

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

    /**
     * Checks that a disk has room before anything is written.
     *
     * @param folder where the files will be; need not exist yet
     * @throws WanException with the numbers, if it has not
     */
    public static void requireSpace(Path folder, long bytes) {
        Path existing = folder.toAbsolutePath();
        while (!Files.exists(existing) && existing.getParent() != null) {
            existing = existing.getParent();
        }
        try {
            long free = Files.getFileStore(existing).getUsableSpace();
            if (free < bytes) {
                throw new WanException("%s: not enough space: needs %.1f GB, %.1f GB are free"
                        .formatted(folder, bytes / 1e9, free / 1e9));
            }
        } catch (IOException e) {
            throw Messages.io(folder, "cannot write", e);
        }
    }
}
