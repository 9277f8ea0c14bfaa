package wan.file;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.HexFormat;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import wan.op.WanException;

/**
 * A file under construction, beside the one that it becomes: {@code NAME.0123abcd.tmp}.
 *
 * <p>It is locked while it is written, so that the leftovers of a killed program can be distinguished from a file that another
 * program is writing. The next writer of the same target removes such leftovers, with a notice.
 */
public final class TemporaryFile implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger("wan.file");

    /** Those of this process. A lock cannot be asked about them: closing a second channel of a file would drop the first one's. */
    private static final Set<Path> OURS = ConcurrentHashMap.newKeySet();

    private final Path target;
    private final Path path;
    private final FileChannel channel;

    private TemporaryFile(Path target, Path path, FileChannel channel) {
        this.target = target;
        this.path = path;
        this.channel = channel;
    }

    /** A file that has its name already and keeps it, finished or not. */
    static TemporaryFile kept(Path path, FileChannel channel) {
        return new TemporaryFile(path, path, channel);
    }

    /**
     * Begins a file for callers that need more than a stream.
     *
     * @param file what {@link #moveIntoPlace} replaces; a link keeps pointing to it
     * @throws WanException if the folder cannot be written, or something else than a file is there
     */
    public static TemporaryFile of(Path file) {
        return beside(Messages.destination(file));
    }

    /**
     * Begins a file, and removes those that killed programs left of the same target.
     *
     * @param target what {@link #moveIntoPlace} replaces
     * @throws WanException if the folder cannot be written
     */
    static TemporaryFile beside(Path target) {
        try {
            removeLeftovers(target);
            while (true) {
                String suffix =
                        HexFormat.of().toHexDigits(ThreadLocalRandom.current().nextInt());
                TemporaryFile file =
                        create(target, target.resolveSibling(target.getFileName() + "." + suffix + ".tmp"));
                if (file != null) {
                    return file;
                }
            }
        } catch (IOException e) {
            throw Messages.io(target, "cannot write", e);
        }
    }

    /** Null if another program took it for a leftover before it was locked. */
    private static @Nullable TemporaryFile create(Path target, Path path) throws IOException {
        Path key = path.toAbsolutePath().normalize();
        if (!OURS.add(key)) {
            return null;
        }
        FileChannel channel = null;
        boolean held = false;
        try {
            channel = FileChannel.open(
                    path, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE);
            Messages.keepPermissions(target, path);
            held = lock(channel) && Files.exists(path);
            return held ? new TemporaryFile(target, path, channel) : null;
        } finally {
            if (!held) {
                OURS.remove(key);
                if (channel != null) {
                    channel.close();
                }
            }
        }
    }

    /** Whether nobody else holds the file; yes where the file system knows no locks. */
    static boolean lock(FileChannel channel) {
        try {
            FileLock lock = channel.tryLock();
            return lock != null;
        } catch (IOException e) {
            return true;
        }
    }

    private static void removeLeftovers(Path target) throws IOException {
        String name = String.valueOf(target.getFileName());
        Pattern leftover = Pattern.compile(Pattern.quote(name) + "\\.[0-9a-f]{8}\\.tmp");
        Path folder = target.toAbsolutePath().getParent();
        if (folder == null || !Files.isDirectory(folder)) {
            return;
        }
        try (DirectoryStream<Path> files = Files.newDirectoryStream(
                folder,
                file -> leftover.matcher(String.valueOf(file.getFileName())).matches())) {
            for (Path file : files) {
                if (!OURS.contains(file.normalize()) && Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
                    removeUnlessLocked(file);
                }
            }
        }
    }

    private static void removeUnlessLocked(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            FileLock lock = channel.tryLock();
            if (lock != null && Files.deleteIfExists(file)) {
                LOG.log(System.Logger.Level.INFO, "removed {0}, left by a killed program", file);
            }
        } catch (NoSuchFileException e) {
            // Somebody else removed it.
        } catch (IOException e) {
            LOG.log(System.Logger.Level.DEBUG, "left {0} alone: {1}", file, e.getMessage());
        }
    }

    /** Its present path. */
    public Path path() {
        return path;
    }

    /** Its path when it is complete. */
    Path target() {
        return target;
    }

    /** Reads and writes it. */
    public FileChannel channel() {
        return channel;
    }

    /** Puts the whole file onto the disk and under the target's name. */
    public void moveIntoPlace() throws IOException {
        channel.force(true);
        if (!path.equals(target)) {
            move(path, target);
        }
        channel.close();
    }

    /**
     * Moves a file that is already on the disk over another, and puts the move onto the disk too. Onto another file system it is
     * copied first.
     *
     * @throws IOException if the target is left as it was
     */
    public static void move(Path from, Path target) throws IOException {
        try {
            Files.move(from, target, StandardCopyOption.ATOMIC_MOVE);
            syncFolder(target);
        } catch (AtomicMoveNotSupportedException e) {
            try (TemporaryFile copy = beside(target);
                    FileChannel source = FileChannel.open(from, StandardOpenOption.READ)) {
                for (long at = 0; at < source.size(); ) {
                    at += source.transferTo(at, source.size() - at, copy.channel);
                }
                copy.moveIntoPlace();
            }
            Files.delete(from);
        }
    }

    /** Puts names onto the disk; where a folder cannot be opened (Windows) its file system does so itself. */
    public static void syncFolder(Path file) {
        Path folder = file.toAbsolutePath().getParent();
        if (folder == null) {
            return;
        }
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (IOException e) {
            LOG.log(System.Logger.Level.DEBUG, "cannot sync {0}: {1}", folder, e.getMessage());
        }
    }

    /** Removes all files that this process has begun and not finished, when the program is stopped. */
    public static void removeAll() {
        OURS.forEach(file -> file.toFile().delete());
    }

    /** Removes it, unless it is in its place. */
    @Override
    public void close() throws IOException {
        try (FileChannel _ = channel) {
            if (!path.equals(target)) {
                Files.deleteIfExists(path);
            }
        } finally {
            OURS.remove(path.toAbsolutePath().normalize());
        }
    }
}
