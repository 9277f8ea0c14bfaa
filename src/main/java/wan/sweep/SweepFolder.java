package wan.sweep;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import wan.file.Messages;
import wan.file.OutputFile;
import wan.op.WanException;

/**
 * Where a sweep lies. A run is done when its result is there, under a name that follows from the run alone; all else only says how it
 * went or who may be at it.
 *
 * <pre>
 * sweep.json              the sweep, without any other file
 * runs/ID.safetensors     a result; ID.latents.safetensors, ID.json beside it
 * claims/ID               the worker that said it is at it, a hint
 * workers/NAME/           of one process: its pulse, and the partial data of the run it is at
 * dataset/                the tables that are made of the results
 * </pre>
 */
public final class SweepFolder {
    private final Path root;
    private final SweepState state;

    private SweepFolder(Path root, SweepState state) {
        this.root = root;
        this.state = state;
    }

    /** The files of a folder of this machine. */
    private record Store(Path root) implements SweepStore {
        @Override
        public List<String> names(String folder) {
            Path place = root.resolve(folder);
            return Files.isDirectory(place) ? SweepFolder.names(place) : List.of();
        }

        @Override
        public byte @Nullable [] read(String name) {
            try {
                return Files.readAllBytes(root.resolve(name));
            } catch (NoSuchFileException e) {
                return null;
            } catch (IOException e) {
                throw Messages.io(root.resolve(name), "cannot read", e);
            }
        }

        @Override
        public void write(String name, byte[] bytes) {
            Path file = root.resolve(name);
            try {
                Files.createDirectories(file.toAbsolutePath().getParent());
            } catch (IOException e) {
                throw Messages.io(root, "cannot write", e);
            }
            OutputFile.write(file, out -> out.write(bytes));
        }

        @Override
        public String toString() {
            return root.toString();
        }
    }

    /** Whether a folder is that of a sweep. */
    public static boolean is(Path folder) {
        return Files.isRegularFile(folder.resolve(SweepState.SWEEP));
    }

    /**
     * Opens what a sweep has so far.
     *
     * @throws WanException if it is no such folder
     */
    public static SweepFolder open(Path root) {
        SweepState state = is(root) ? SweepState.open(new Store(root)) : null;
        if (state == null) {
            throw new WanException(
                    root + ": expected the folder of a sweep, with " + SweepState.SWEEP + " in it, got none");
        }
        return new SweepFolder(root, state);
    }

    /**
     * Begins a sweep, or goes on with one: with the same, or with one that has further runs.
     *
     * @throws WanException if something else lies there
     */
    public static SweepFolder begin(Path root, Sweep sweep) {
        SweepState state = SweepState.begin(new Store(root), sweep);
        try {
            Files.createDirectories(root.resolve("runs"));
            Files.createDirectories(root.resolve("claims"));
            Files.createDirectories(root.resolve("workers"));
        } catch (IOException e) {
            throw Messages.io(root, "cannot write", e);
        }
        return new SweepFolder(root, state);
    }

    /** The folder. */
    public Path root() {
        return root;
    }

    /** What is known of its runs. */
    public SweepState state() {
        return state;
    }

    /** What is run. */
    public Sweep sweep() {
        return state.sweep();
    }

    /** All runs in their order, done or not. */
    public List<SweepRun> runs() {
        return state.runs();
    }

    /** The results that are there, in the order of the runs. */
    public List<Path> results() {
        Set<String> done = done();
        return runs().stream()
                .filter(run -> done.contains(run.id()))
                .map(run -> result(run.id()))
                .toList();
    }

    /** The ids of all runs whose result is there, from one look at the folder. */
    public Set<String> done() {
        return state.done();
    }

    static List<String> names(Path folder) {
        List<String> names = new ArrayList<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            files.forEach(file -> names.add(file.getFileName().toString()));
        } catch (IOException e) {
            throw Messages.io(folder, "cannot read", e);
        }
        return names;
    }

    /** A run's result. */
    public Path result(String id) {
        return root.resolve(SweepState.result(id));
    }

    /** A run's latents, where the sweep keeps them. */
    public Path latents(String id) {
        return root.resolve(SweepState.latents(id));
    }

    Path claims() {
        return root.resolve("claims");
    }

    Path workers() {
        return root.resolve("workers");
    }

    Path claim(String id) {
        return claims().resolve(id);
    }

    Path worker(String name) {
        return workers().resolve(name);
    }

    /** Where the tables are. */
    public Path dataset() {
        return root.resolve("dataset");
    }
}
