package wan.file;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;
import wan.op.FormatException;
import wan.op.WanException;

/**
 * The folder {@code NAME.partial} beside a file NAME that is being made: data that grows, and a {@code journal} that says how
 * much of it counts. It outlives the process that writes it. Only one process at a time may write it, because the journal is
 * locked.
 */
public final class PartialFolder implements AutoCloseable {
    /** What such a folder's name ends with. */
    public static final String SUFFIX = ".partial";

    private static final String JOURNAL = "journal";
    /** What {@link TemporaryFile} adds to a name. */
    private static final Pattern TEMPORARY = Pattern.compile("\\.[0-9a-f]{8}\\.tmp$");

    /**
     * A finished file and its place.
     *
     * @param from in the folder, whole and on the disk
     * @param to what it replaces; its folder is made if there is none
     */
    public record Move(Path from, Path to) {
        /** Where it really goes: what a link points to. */
        Path destination() {
            return Messages.destination(to);
        }
    }

    /** Those of this process: see {@link TemporaryFile}. */
    private static final Set<Path> OURS = ConcurrentHashMap.newKeySet();

    private final Path folder;
    private final FileChannel journal;
    private List<ObjectNode> records;
    private List<Long> ends;

    private PartialFolder(Path folder, FileChannel journal, Journal.Contents contents) {
        this.folder = folder;
        this.journal = journal;
        this.records = contents.records();
        this.ends = contents.ends();
    }

    /** Where a file's partial data lies. */
    public static Path of(Path target) {
        return target.resolveSibling(target.getFileName() + SUFFIX);
    }

    /** Whether a folder looks like one. */
    public static boolean is(Path folder) {
        return String.valueOf(folder.getFileName()).endsWith(SUFFIX)
                && Files.isRegularFile(folder.resolve(JOURNAL), LinkOption.NOFOLLOW_LINKS);
    }

    /**
     * What the journal of a folder says, without disturbing who may be writing it.
     *
     * @throws FormatException if it is no journal
     */
    public static List<ObjectNode> records(Path folder) {
        Path file = folder.resolve(JOURNAL);
        Messages.requireFile(file);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            return Journal.read(file, channel).records();
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        }
    }

    /**
     * Opens a folder to write it, and makes it if there is none. What lies in it is removed sooner or later, so it may hold nothing
     * but what was written through here.
     *
     * @param names those of its files
     * @throws WanException if somebody else is writing it, it cannot be written, or it holds anything else
     */
    public static PartialFolder open(Path folder, Pattern names) {
        Path key = folder.toAbsolutePath().normalize();
        if (!OURS.add(key)) {
            throw inUse(folder);
        }
        boolean opened = false;
        try {
            while (true) {
                PartialFolder partial = tryOpen(folder, names);
                if (partial != null) {
                    opened = true;
                    return partial;
                }
            }
        } catch (IOException e) {
            // Who reads it named the file, not the folder.
            String name = folder.toString();
            throw Messages.io(
                    Path.of(name.endsWith(SUFFIX) ? name.substring(0, name.length() - SUFFIX.length()) : name),
                    "cannot write",
                    e);
        } finally {
            if (!opened) {
                OURS.remove(key);
            }
        }
    }

    /** Null if the one who had it removed it meanwhile. */
    private static @Nullable PartialFolder tryOpen(Path folder, Pattern names) throws IOException {
        if (Files.isRegularFile(folder) || Files.isSymbolicLink(folder)) {
            throw new WanException(
                    folder + ": cannot write: expected a folder of partial data, or nothing of that name");
        }
        Files.createDirectories(folder);
        requireOwn(folder, names);
        Path file = folder.resolve(JOURNAL);
        FileChannel channel =
                FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
        boolean kept = false;
        try {
            Object before = identity(file);
            if (!TemporaryFile.lock(channel)) {
                throw inUse(folder);
            }
            if (!Objects.equals(before, identity(file)) || before == null) {
                return null;
            }
            PartialFolder partial = new PartialFolder(folder, channel, Journal.read(file, channel));
            kept = true;
            return partial;
        } finally {
            if (!kept) {
                channel.close();
            }
        }
    }

    /** Refuses a folder that somebody else made: with other files, or with data and no journal, which is made first and removed last. */
    private static void requireOwn(Path folder, Pattern names) throws IOException {
        boolean journal = Files.isRegularFile(folder.resolve(JOURNAL), LinkOption.NOFOLLOW_LINKS);
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                String name = file.getFileName().toString();
                boolean known = name.equals(JOURNAL)
                        || names.matcher(TEMPORARY.matcher(name).replaceFirst(""))
                                .matches();
                if ((!known || !journal || !Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS))
                        && Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
                    throw new WanException(folder + ": cannot write: holds " + Messages.shown(name)
                            + ", which no run has left there; move it away, or choose another name for the result");
                }
            }
        } catch (DirectoryIteratorException e) {
            throw e.getCause();
        }
    }

    private static @Nullable Object identity(Path file) throws IOException {
        if (!Files.exists(file)) {
            return null;
        }
        Object key = Files.readAttributes(file, BasicFileAttributes.class).fileKey();
        return key == null ? file : key;
    }

    private static WanException inUse(Path folder) {
        return new WanException(folder + ": is being written by another run; wait for it, or choose another name");
    }

    /** The folder. */
    public Path path() {
        return folder;
    }

    /** A file in it. */
    public Path file(String name) {
        return folder.resolve(name);
    }

    /** What the journal says, in order. */
    public List<ObjectNode> records() {
        return List.copyOf(records);
    }

    /** Adds a record, which counts as soon as this returns. */
    public void append(ObjectNode added) {
        try {
            ByteBuffer line = Journal.line(added);
            long at = ends.isEmpty() ? 0 : ends.getLast();
            long end = at + line.remaining();
            while (line.hasRemaining()) {
                at += journal.write(line, at);
            }
            // A line that was cut short may be longer than the one that took its place.
            journal.truncate(end);
            journal.force(false);
            if (records.isEmpty()) {
                TemporaryFile.syncFolder(file(JOURNAL));
                TemporaryFile.syncFolder(folder);
            }
            records = new ArrayList<>(records);
            ends = new ArrayList<>(ends);
            records.add(added);
            ends.add(end);
        } catch (IOException e) {
            throw Messages.io(file(JOURNAL), "cannot write", e);
        }
    }

    /** Forgets all records but the first few, and with none left all other files too. */
    public void keepOnly(int count) {
        records = List.copyOf(records.subList(0, count));
        ends = List.copyOf(ends.subList(0, count));
        try {
            journal.truncate(count == 0 ? 0 : ends.getLast());
            journal.force(false);
            if (count == 0) {
                removeOthers();
            }
        } catch (IOException e) {
            throw Messages.io(folder, "cannot write", e);
        }
    }

    private void removeOthers() throws IOException {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                if (!file.getFileName().toString().equals(JOURNAL)) {
                    Files.delete(file);
                }
            }
        }
    }

    /** Puts finished files into their places; those that are there already stay. */
    public void publish(List<Move> moves) {
        for (Move move : moves) {
            if (Files.exists(move.from())) {
                try {
                    Path parent = move.to().toAbsolutePath().getParent();
                    if (parent != null) {
                        Files.createDirectories(parent);
                    }
                    Messages.keepPermissions(move.destination(), move.from());
                    TemporaryFile.move(move.from(), move.destination());
                } catch (IOException e) {
                    throw Messages.io(move.to(), "cannot write", e);
                }
            }
        }
    }

    /** Removes it with all that is in it. */
    public void remove() {
        try {
            removeOthers();
            Files.deleteIfExists(file(JOURNAL));
            Files.deleteIfExists(folder);
        } catch (IOException e) {
            throw Messages.io(folder, "cannot remove", e);
        }
    }

    /** Lets others have it. */
    @Override
    public void close() {
        try {
            journal.close();
        } catch (IOException e) {
            throw Messages.io(folder, "cannot write", e);
        } finally {
            OURS.remove(folder.toAbsolutePath().normalize());
        }
    }
}
