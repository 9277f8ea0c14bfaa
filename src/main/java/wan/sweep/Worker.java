package wan.sweep;

import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import wan.file.Messages;
import wan.file.PartialFolder;
import wan.file.TemporaryFile;
import wan.op.WanException;

/**
 * One process at work on a sweep, as the others see it. It has a folder of its own for what it is at, so that two at one run do each
 * other no harm. Nothing depends on what a claim or a pulse says: it only keeps most work from being done twice.
 *
 * <p>The pulse is a number that grows. Whoever watches it by a clock of its own knows that its worker lives, whatever the machines' clocks
 * say; on the same machine the process itself is asked.
 */
final class Worker implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger("wan.sweep");
    private static final Pattern NAME = Pattern.compile("(.*)-(\\d{1,18})-[0-9a-f]{8}");
    private static final String PULSE = "pulse";
    private static final String ENDED = "ended";
    private static final long BEAT_MILLIS = 10_000;
    /** Without a beat for so long a worker counts as dead. */
    static final long SILENCE_NANOS = 6 * BEAT_MILLIS * 1_000_000;

    private final SweepFolder folder;
    private final String name;
    private final Path home;
    private final Thread heart;
    private final Map<String, Seen> others = new HashMap<>();
    private long beats;

    /** A pulse, when it was seen first, and whether another one was seen before it. */
    private record Seen(String pulse, long nanos, boolean moved) {}

    Worker(SweepFolder folder) {
        this.folder = folder;
        this.name = host() + "-" + ProcessHandle.current().pid() + "-"
                + HexFormat.of().toHexDigits(ThreadLocalRandom.current().nextInt());
        this.home = folder.worker(name);
        try {
            Files.createDirectories(home);
            beat();
        } catch (IOException e) {
            throw Messages.io(home, "cannot write", e);
        }
        heart = Thread.ofPlatform().daemon().name("wan-sweep-pulse").start(this::live);
    }

    private static String host() {
        try {
            return InetAddress.getLocalHost().getHostName().replaceAll("[^A-Za-z0-9_.-]", "_");
        } catch (UnknownHostException e) {
            return "unknown";
        }
    }

    private void live() {
        try {
            while (true) {
                Thread.sleep(BEAT_MILLIS);
                beat();
            }
        } catch (InterruptedException e) {
            return;
        } catch (IOException e) {
            // Others may do our work again, and that is all.
            LOG.log(System.Logger.Level.DEBUG, "{0}: cannot write: {1}", home, e.getMessage());
        }
    }

    private void beat() throws IOException {
        Files.writeString(home.resolve(PULSE), ++beats + "\n");
    }

    String name() {
        return name;
    }

    /** Where it has what it is at. */
    Path home() {
        return home;
    }

    /**
     * Says that it is at a run, unless another one that lives has said so.
     *
     * @return whether it may go on; and what a dead one left of the run lies in its own folder then
     */
    boolean take(String id) {
        Path claim = folder.claim(id);
        try {
            try {
                Files.writeString(claim, name, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
                return true;
            } catch (FileAlreadyExistsException e) {
                String other = Files.readString(claim).strip();
                if (other.equals(name)) {
                    return true;
                }
                Life life = other.isEmpty() ? Life.OVER : life(other);
                if (life == Life.SURE || life == Life.MAYBE) {
                    return false;
                }
                Files.writeString(claim, name);
                if (!other.isEmpty()) {
                    adopt(other, id, life == Life.OVER);
                }
                return true;
            }
        } catch (NoSuchFileException e) {
            return true; // its worker is through with it just now; we shall see
        } catch (IOException e) {
            throw Messages.io(claim, "cannot write", e);
        }
    }

    /** It is at a run no longer. */
    void release(String id) {
        try {
            Files.deleteIfExists(folder.claim(id));
        } catch (IOException e) {
            LOG.log(System.Logger.Level.DEBUG, "{0}: cannot remove: {1}", folder.claim(id), e.getMessage());
        }
    }

    /** What is known of a worker. */
    private enum Life {
        /** Its pulse has been seen to go on, or its process is there. */
        SURE,
        /** Its pulse has been seen, and not for long enough to tell. */
        MAYBE,
        /** Its pulse has stood still for too long. */
        SILENT,
        /** It has ended, or its process has. */
        OVER
    }

    private boolean lives(String other) throws IOException {
        Life life = life(other);
        return life == Life.SURE || life == Life.MAYBE;
    }

    private Life life(String other) throws IOException {
        Path pulse = folder.worker(other).resolve(PULSE);
        String now;
        try {
            now = Files.readString(pulse);
        } catch (NoSuchFileException e) {
            return Life.OVER;
        }
        Boolean here = processLives(other);
        if (now.startsWith(ENDED) || Boolean.FALSE.equals(here)) {
            return Life.OVER;
        }
        Seen seen = others.get(other);
        if (seen == null || !seen.pulse().equals(now)) {
            others.put(other, new Seen(now, System.nanoTime(), seen != null));
            return seen != null || here != null ? Life.SURE : Life.MAYBE;
        }
        if (System.nanoTime() - seen.nanos() >= SILENCE_NANOS) {
            return Life.SILENT;
        }
        return seen.moved() || here != null ? Life.SURE : Life.MAYBE;
    }

    /** Whether the process is there, if it is one of this machine; else null. */
    private static @Nullable Boolean processLives(String other) {
        Matcher parts = NAME.matcher(other);
        if (!parts.matches() || !parts.group(1).equals(host())) {
            return null;
        }
        return ProcessHandle.of(Long.parseLong(parts.group(2)))
                .map(ProcessHandle::isAlive)
                .orElse(false);
    }

    /**
     * Takes over what a dead worker left of a run: by a copy if it may live after all, the journal first, since it never counts data
     * that is not there. A torn copy is no harm either: what is not whole is cut off.
     */
    private void adopt(String other, String id, boolean over) {
        for (String kind : List.of(".safetensors", ".latents.safetensors")) {
            Path from = PartialFolder.of(folder.worker(other).resolve(id + kind));
            Path to = PartialFolder.of(home.resolve(id + kind));
            if (!PartialFolder.is(from) || Files.exists(to)) {
                continue;
            }
            try {
                if (over) {
                    Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
                    continue;
                }
                Files.createDirectories(to);
                Files.copy(from.resolve("journal"), to.resolve("journal"), StandardCopyOption.REPLACE_EXISTING);
                for (String file : SweepFolder.names(from)) {
                    if (!file.equals("journal")) {
                        Files.copy(from.resolve(file), to.resolve(file), StandardCopyOption.REPLACE_EXISTING);
                    }
                }
            } catch (IOException | WanException e) {
                LOG.log(System.Logger.Level.DEBUG, "{0}: not taken over: {1}", from, e.getMessage());
            }
        }
    }

    /** Puts a finished file into its place in the sweep, whatever lies there: it is the same. */
    void publish(Path file, Path place) {
        try {
            TemporaryFile.move(file, place);
        } catch (IOException e) {
            throw Messages.io(place, "cannot write", e);
        }
    }

    /** Removes what is left of a run in its own folder. */
    void forget(String id) {
        try {
            for (String file : SweepFolder.names(home)) {
                if (file.startsWith(id)) {
                    remove(home.resolve(file));
                }
            }
        } catch (IOException e) {
            throw Messages.io(home, "cannot remove", e);
        }
    }

    /** Removes what dead workers left: only when nothing of it can be of use. */
    void removeDead() {
        try {
            for (String other : SweepFolder.names(folder.workers())) {
                if (!other.equals(name) && !lives(other)) {
                    remove(folder.worker(other));
                }
            }
            for (String id : SweepFolder.names(folder.claims())) {
                release(id);
            }
        } catch (IOException e) {
            LOG.log(System.Logger.Level.DEBUG, "{0}: cannot remove: {1}", home, e.getMessage());
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
        Files.deleteIfExists(path);
    }

    /** Whether it cannot be told yet if the worker that is at a run lives. */
    boolean mayBeDead(String id) {
        try {
            String other = Files.readString(folder.claim(id)).strip();
            return !other.equals(name) && (other.isEmpty() || life(other) != Life.SURE);
        } catch (IOException e) {
            return true; // the claim has gone: it is done, or free
        }
    }

    /** Ends: what it leaves is there for others to go on with at once. */
    @Override
    public void close() {
        heart.interrupt();
        try {
            heart.join();
            List<String> left = SweepFolder.names(home);
            if (left.stream().allMatch(PULSE::equals)) {
                remove(home);
            } else {
                Files.writeString(home.resolve(PULSE), ENDED + "\n");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (IOException e) {
            LOG.log(System.Logger.Level.DEBUG, "{0}: cannot write: {1}", home, e.getMessage());
        }
    }
}
