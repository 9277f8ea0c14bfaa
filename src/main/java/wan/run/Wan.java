package wan.run;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import wan.model.WanConfig;
import wan.op.UsageException;
import wan.weights.ConfigJson;
import wan.weights.ModelFolder;

/**
 * An open model: the entry point of the library.
 *
 * <pre>{@code
 * try (Wan wan = Wan.open(Path.of("weights/Wan2.1-T2V-1.3B"))) {
 *     RunResult result = wan.run("a cat walks").frames(7).seed(42).layers(3).capture(FRAME_LOGITS).execute();
 *     float sink = result.frameLogits(3).get(0, 6, 0); // head, query frame, key frame
 * }
 * }</pre>
 *
 * <p>Runs one job at a time. After the first run the device stays open with its packed weights, so that later runs can use it;
 * close it after the last run.
 */
public final class Wan implements AutoCloseable {
    private final RunSpec.Model spec;
    private final Session session;

    private Wan(RunSpec.Model spec, Session session) {
        this.spec = spec;
        this.session = session;
    }

    /** Opens a model: a downloaded folder, or a file. */
    public static Wan open(Path path) {
        return open(RunSpec.Model.of(path), RunMonitor.NONE);
    }

    /** The built-in demo model: small, with random weights. */
    public static Wan demo() {
        return open(RunSpec.Model.DEMO, RunMonitor.NONE);
    }

    /** Opens the model of a specification; warnings go to the monitor. */
    public static Wan open(RunSpec.Model model, RunMonitor monitor) {
        return new Wan(model, new Session(LoadedModel.open(model, monitor::notice)));
    }

    /** The model's sizes. */
    public WanConfig config() {
        return session.model().config();
    }

    /**
     * Starts the description of a run.
     *
     * @param prompts one per sample; none for embeddings drawn from the seed
     */
    public Run run(String... prompts) {
        return new Run(this, RunSpec.of(spec).withPrompt(RunSpec.Prompt.of(prompts)));
    }

    /**
     * Checks and plans a run.
     *
     * @throws UsageException if it cannot be run; names the wrong field
     */
    public Job prepare(RunSpec run, RunMonitor monitor) {
        if (!run.model().equals(spec)) {
            throw new UsageException("model.path: expected the model that is open, " + name(spec.path()) + ", got "
                    + name(run.model().path()));
        }
        return JobPlanner.plan(windowed(run, monitor), session, monitor);
    }

    /**
     * Encodes the prompts of many runs together, if they use the cache of embeddings, so that the text encoder is loaded only once.
     */
    public void encodePrompts(List<RunSpec> runs, RunMonitor monitor) {
        session.encode(runs, monitor);
    }

    /** A run that does not set the window (not even to -1, none) gets the one in the model's configuration. */
    private static RunSpec windowed(RunSpec run, RunMonitor monitor) {
        Path path = run.model().path();
        RunSpec.Cache cache = run.cache();
        boolean silent = cache.localAttnSize() == null
                && cache.policy() == null
                && run.noise().replay() == null
                && run.model().preset() == null;
        Optional<ConfigJson.Window> window = silent && path != null ? ModelFolder.window(path) : Optional.empty();
        if (window.isEmpty()) {
            return run.withCache(cache.withoutModel());
        }
        int size = window.get().localAttnSize();
        int sink = cache.sinkSize() == null ? window.get().sinkSize() : cache.sinkSize();
        if (cache.sinkSize() == null) {
            monitor.notice("cache.local_attn_size " + size + " and cache.sink_size " + sink
                    + " come from the model's config.json; cache.local_attn_size -1 turns the window off");
        } else {
            monitor.notice("cache.local_attn_size " + size
                    + " comes from the model's config.json; cache.local_attn_size -1 turns the window off");
        }
        return run.withCache(new RunSpec.Cache(size, sink));
    }

    private static String name(@Nullable Path path) {
        return path == null ? "the demo model" : path.toString();
    }

    @Override
    public void close() {
        session.close();
    }
}
