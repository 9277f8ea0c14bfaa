package wan.sweep;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
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
    private static final String SWEEP = "sweep.json";
    private static final String RESULT = ".safetensors";
    private static final String LATENTS = ".latents.safetensors";

    private final Path root;
    private final Sweep sweep;
    private final List<SweepRun> runs;

    private SweepFolder(Path root, Sweep sweep, List<SweepRun> runs) {
        this.root = root;
        this.sweep = sweep;
        this.runs = runs;
    }

    /** Whether a folder is that of a sweep. */
    public static boolean is(Path folder) {
        return Files.isRegularFile(folder.resolve(SWEEP));
    }

    /**
     * Opens what a sweep has so far.
     *
     * @throws WanException if it is no such folder
     */
    public static SweepFolder open(Path root) {
        if (!is(root)) {
            throw new WanException(root + ": expected the folder of a sweep, with " + SWEEP + " in it, got none");
        }
        Sweep sweep = SweepJson.read(root.resolve(SWEEP));
        return new SweepFolder(root, sweep, sweep.runs());
    }

    /**
     * Begins a sweep, or goes on with one: with the same, or with one that has further runs.
     *
     * @throws WanException if something else lies there
     */
    public static SweepFolder begin(Path root, Sweep sweep) {
        List<SweepRun> runs = sweep.runs();
        Path file = root.resolve(SWEEP);
        String json = SweepJson.write(sweep);
        try {
            if (Files.exists(file)) {
                if (Files.readString(file).equals(json)) {
                    return new SweepFolder(root, sweep, runs);
                }
                Set<String> ids = new HashSet<>();
                runs.forEach(run -> ids.add(run.id()));
                for (SweepRun there : SweepJson.read(file).runs()) {
                    if (!ids.contains(there.id())) {
                        throw new WanException(root + ": expected this sweep, or one that it adds runs to, got another,"
                                + " with the run " + there.describe() + "; choose another folder");
                    }
                }
            } else if (Files.exists(root) && !isEmpty(root)) {
                throw new WanException(root + ": expected an empty folder or that of this sweep, got other files");
            }
            Files.createDirectories(root.resolve("runs"));
            Files.createDirectories(root.resolve("claims"));
            Files.createDirectories(root.resolve("workers"));
        } catch (IOException e) {
            throw Messages.io(root, "cannot write", e);
        }
        OutputFile.write(file, out -> out.write(json.getBytes(StandardCharsets.UTF_8)));
        return new SweepFolder(root, sweep, runs);
    }

    private static boolean isEmpty(Path folder) throws IOException {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            // Shards that begin at the same time make these first.
            Set<String> ours = Set.of("runs", "claims", "workers");
            for (Path file : files) {
                String name = file.getFileName().toString();
                if (!ours.contains(name) && !(name.startsWith(SWEEP) && name.endsWith(".tmp")) && !name.equals(SWEEP)) {
                    return false;
                }
            }
            return true;
        }
    }

    /** The folder. */
    public Path root() {
        return root;
    }

    /** What is run. */
    public Sweep sweep() {
        return sweep;
    }

    /** All runs in their order, done or not. */
    public List<SweepRun> runs() {
        return runs;
    }

    /** The results that are there, in the order of the runs. */
    public List<Path> results() {
        Set<String> done = done();
        return runs.stream()
                .filter(run -> done.contains(run.id()))
                .map(run -> result(run.id()))
                .toList();
    }

    /** The ids of all runs whose result is there, from one look at the folder. */
    public Set<String> done() {
        Set<String> done = new HashSet<>();
        for (String name : names(root.resolve("runs"))) {
            if (name.endsWith(RESULT) && !name.endsWith(LATENTS)) {
                done.add(name.substring(0, name.length() - RESULT.length()));
            }
        }
        return done;
    }

    /** The ids of runs that something is recorded of. */
    Set<String> recorded() {
        Set<String> recorded = new HashSet<>();
        for (String name : names(root.resolve("runs"))) {
            if (name.endsWith(".json")) {
                recorded.add(name.substring(0, name.length() - ".json".length()));
            }
        }
        return recorded;
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
        return root.resolve("runs").resolve(id + RESULT);
    }

    /** A run's latents, where the sweep keeps them. */
    public Path latents(String id) {
        return root.resolve("runs").resolve(id + LATENTS);
    }

    Path record(String id) {
        return root.resolve("runs").resolve(id + ".json");
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

    /** What is known of how a run went; null for nothing. */
    @Nullable
    RunRecord how(String id) {
        return RunRecord.read(record(id));
    }
}
