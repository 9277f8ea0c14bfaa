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
 * One process that works on a sweep, as the other processes see it. It has its own folder for unfinished work, so two processes on the
 * same run do not disturb each other. Correctness does not depend on claims or heartbeats: they only avoid most duplicate work.
 *
 * <p>The heartbeat is a growing number. Observers measure its age with their own clock, so the clocks of different machines need not agree.
 * On the same machine, the process itself is looked up.
 */
final class Worker implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger("wan.sweep");
    private static final Pattern NAME = Pattern.compile("(.*)-(\\d{1,18})-[0-9a-f]{8}");
    private static final String PULSE = "pulse";
    private static final String ENDED = "ended";
    private static final long BEAT_MILLIS = 10_000;
    /** A worker whose heartbeat has not changed for this long counts as dead. */
    static final long SILENCE_NANOS = 6 * BEAT_MILLIS * 1_000_000;

    private final SweepFolder folder;
    private final String name;
    private final Path home;
    private final Thread heart;
    private final Map<String, Seen> others = new HashMap<>();
    private long beats;

    /** A heartbeat, when it was first seen, and whether an earlier one was seen before it. */
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

    /** The folder for its unfinished work. */
    Path home() {
        return home;
    }

    /**
     * Claims a run, unless another live worker has claimed it.
     *
     * @return whether it may run it; if so, what a dead worker left of the run is now in its own folder
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

    /** Releases its claim on a run. */
    void release(String id) {
        try {
            Files.deleteIfExists(folder.claim(id));
        } catch (IOException e) {
            LOG.log(System.Logger.Level.DEBUG, "{0}: cannot remove: {1}", folder.claim(id), e.getMessage());
        }
    }

    /** The state of a worker. */
    private enum Life {
        /** Its heartbeat has changed, or its process exists. */
        SURE,
        /** Its heartbeat has not been observed long enough to tell. */
        MAYBE,
        /** Its heartbeat has not changed for too long. */
        SILENT,
        /** It has said that it ended, or its process no longer exists. */
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

    /** Whether the process exists; null if it belongs to another machine. */
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
     * Takes over what a dead worker left of a run. If the worker may still be alive, the data is copied, the journal first, because a
     * journal never refers to data that is not yet written. An incomplete copy does no harm: what is not complete is cut off.
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

    /** Moves a finished file into its place in the sweep. If a file is already there, it has the same content. */
    void publish(Path file, Path place) {
        try {
            TemporaryFile.move(file, place);
        } catch (IOException e) {
            throw Messages.io(place, "cannot write", e);
        }
    }

    /** Removes the remains of a run from its own folder. */
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

    /** Removes what dead workers left. To be called only when all runs are done, because until then any data may be useful. */
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

    /** Whether it is still unknown if the worker that claimed a run is alive. */
    boolean mayBeDead(String id) {
        try {
            String other = Files.readString(folder.claim(id)).strip();
            return !other.equals(name) && (other.isEmpty() || life(other) != Life.SURE);
        } catch (IOException e) {
            return true; // the claim has gone: it is done, or free
        }
    }

    /** Ends this worker, so that others can take over its unfinished work at once. */
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
