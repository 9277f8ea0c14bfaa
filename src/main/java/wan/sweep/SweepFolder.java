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
 * The folder of a sweep. A run is done when its result exists, under a name that depends only on the run. All other files are only records and
 * hints: how a run went, and which process may be working on it.
 *
 * <pre>
 * sweep.json              the sweep, without any other file
 * runs/ID.safetensors     a result; beside it ID.latents.safetensors and ID.json
 * claims/ID               a hint: the worker that has claimed the run
 * workers/NAME/           of one process: its heartbeat, and the partial data of its present run
 * dataset/                the tables computed from the results
 * </pre>
 */
public final class SweepFolder {
    private final Path root;
    private final SweepState state;

    private SweepFolder(Path root, SweepState state) {
        this.root = root;
        this.state = state;
    }

    /** The files of a local folder. */
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

    /** Whether a folder contains a sweep. */
    public static boolean is(Path folder) {
        return Files.isRegularFile(folder.resolve(SweepState.SWEEP));
    }

    /**
     * Opens the folder of an existing sweep.
     *
     * @throws WanException if the folder contains no sweep
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
     * Starts a sweep, or continues one. The sweep may have more runs than the one in the folder.
     *
     * @throws WanException if the folder contains something else
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

    /** The state of its runs. */
    public SweepState state() {
        return state;
    }

    /** The sweep. */
    public Sweep sweep() {
        return state.sweep();
    }

    /** All runs in order, done or not. */
    public List<SweepRun> runs() {
        return state.runs();
    }

    /** The existing results, in the order of the runs. */
    public List<Path> results() {
        Set<String> done = done();
        return runs().stream()
                .filter(run -> done.contains(run.id()))
                .map(run -> result(run.id()))
                .toList();
    }

    /** The ids of all runs whose result exists, from one listing of the folder. */
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

    /** The file of a run's result. */
    public Path result(String id) {
        return root.resolve(SweepState.result(id));
    }

    /** The file of a run's latents, if the sweep keeps them. */
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

    /** The folder of the tables. */
    public Path dataset() {
        return root.resolve("dataset");
    }
}
