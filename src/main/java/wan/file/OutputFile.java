package wan.file;

import java.io.BufferedOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import wan.op.WanException;

/** Writes a file in one go under a temporary name beside it, syncs it, and moves it into place when it is complete. */
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
        try (TemporaryFile temporary = TemporaryFile.beside(target)) {
            OutputStream out =
                    new BufferedOutputStream(new Unclosed(Channels.newOutputStream(temporary.channel())), 1 << 18);
            content.writeTo(out);
            out.flush();
            temporary.moveIntoPlace();
        } catch (IOException e) {
            throw Messages.io(target, "cannot write", e);
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
                throw new WanException(String.format(
                        Locale.ROOT,
                        "%s: not enough space: needs %.1f GB, %.1f GB are free",
                        folder,
                        bytes / 1e9,
                        free / 1e9));
            }
        } catch (IOException e) {
            throw Messages.io(folder, "cannot write", e);
        }
    }

    /** A stream that content may close, which must not close the file: it is not in its place yet. */
    private static final class Unclosed extends FilterOutputStream {
        Unclosed(OutputStream out) {
            super(out);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            out.write(bytes, offset, length);
        }

        @Override
        public void close() throws IOException {
            flush();
        }
    }
}
