package wan.run;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedSet;
import org.jspecify.annotations.Nullable;
import wan.model.WanModel;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.text.Tokenizer;

/**
 * The state that the runs of one open model share: the device with its packed weights, tokenizers, and the most recently
 * encoded prompts. Only one run at a time may use it.
 *
 * <p>A device stays open after a successful run if it can serve the next one; after a failure it is closed.
 */
final class Session implements AutoCloseable {
    /** Prompts whose embeddings are kept; 8 MB each at the sizes of Wan. */
    private static final int MOST_PROMPTS = 8;

    private static final int PROMPTS_AT_ONCE = 32;

    private final LoadedModel model;
    private @Nullable Lease idle;
    private int layers;

    private final Map<PromptKey, List<HostTensor>> prompts = new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<PromptKey, List<HostTensor>> eldest) {
            return size() > MOST_PROMPTS;
        }
    };

    private final Map<Tools, Tokenizer> tokenizers = new HashMap<>();

    /** Where a prompt's tokenizer is looked for, besides the model. */
    private record Tools(@Nullable Path tokenizer, @Nullable Path textEncoder) {}

    /** What the embeddings depend on, besides the model. */
    private record PromptKey(RunSpec.Prompt prompt, boolean guided, long seed) {}

    /**
     * What an open device can be used for.
     *
     * @param work what it has been prepared for; null if for anything
     */
    private record Key(RunSpec.Device device, @Nullable Object work) {}

    Session(LoadedModel model) {
        this.model = model;
    }

    LoadedModel model() {
        return model;
    }

    /** Whether no earlier run has used so many layers. */
    boolean isFirst(int numLayers) {
        boolean first = numLayers > layers;
        layers = Math.max(layers, numLayers);
        return first;
    }

    /** A device in use by one run. */
    final class Lease implements AutoCloseable {
        private final Key key;
        private final Ops device;
        private final List<WanModel> models;
        private boolean good;

        private Lease(Key key, Ops device, List<WanModel> models) {
            this.key = key;
            this.device = device;
            this.models = models;
        }

        Ops ops() {
            return device;
        }

        /** The model, or the expert of low noise and that of high noise. */
        List<WanModel> models() {
            return models;
        }

        /** The run has succeeded: the next one may use the device. */
        void keep() {
            good = true;
        }

        @Override
        public void close() {
            if (good && idle == null) {
                good = false;
                idle = this;
            } else {
                device.close();
            }
        }
    }

    /** The device of a job: the one that is open, if it can serve this one too. */
    Lease open(Job job, RunMonitor monitor) {
        RunSpec.Device device = job.spec().device();
        Key key = new Key(device, Devices.serveAnyRun(device) ? null : job.work());
        Lease present = idle;
        idle = null;
        if (present != null && present.key.equals(key)) {
            return present;
        }
        if (present != null) {
            present.device.close();
        }
        Ops opened = Devices.open(device, job.speedCheck(), job::rehearse);
        try {
            Ops watched = monitor.instrument(opened);
            // One who measures a run measures that run alone.
            return new Lease(watched.equals(opened) ? key : new Key(device, monitor), watched, job.models(watched));
        } catch (RuntimeException e) {
            opened.close();
            throw e;
        }
    }

    /** Embeddings of a run's prompts; see {@link Prompts#embedAll}. */
    List<HostTensor> prompts(RunSpec spec, boolean guided, RunMonitor monitor) {
        boolean drawn = !spec.prompt().given();
        PromptKey key =
                new PromptKey(spec.prompt(), guided, drawn ? spec.noise().seed() : 0);
        List<HostTensor> known = prompts.get(key);
        if (known == null) {
            known = Prompts.embedAll(
                    spec.prompt(),
                    guided,
                    this::tokenizer,
                    model.path(),
                    model.config(),
                    spec.noise().seed(),
                    spec.device().computingThreads(),
                    monitor);
            prompts.put(key, known);
        }
        return known;
    }

    /** The tokens of a run's prompts; see {@link Prompts#tokens}. */
    List<List<List<String>>> promptTokens(RunSpec.Prompt prompt, boolean guided) {
        return Prompts.tokens(prompt, guided, this::tokenizer, model.config().textLen());
    }

    /** The tokenizer of a prompt; each is read once. */
    private Tokenizer tokenizer(RunSpec.Prompt prompt) {
        return tokenizers.computeIfAbsent(
                new Tools(prompt.tokenizer(), prompt.textEncoder()), _ -> Prompts.tokenizer(prompt, model.path()));
    }

    /** Encodes the prompts of runs in advance, if their embeddings are cached. */
    void encode(List<RunSpec> runs, RunMonitor monitor) {
        Map<RunSpec.Prompt, SequencedSet<String>> texts = new LinkedHashMap<>();
        Map<RunSpec.Prompt, Integer> threads = new HashMap<>();
        for (RunSpec run : runs) {
            RunSpec.Prompt prompt = run.prompt();
            if (prompt.keep() && !prompt.texts().isEmpty() && run.noise().replay() == null) {
                RunSpec.Prompt tools =
                        new RunSpec.Prompt(List.of(), null, null, prompt.tokenizer(), prompt.textEncoder(), true);
                SequencedSet<String> of = texts.computeIfAbsent(tools, _ -> new LinkedHashSet<>());
                of.addAll(prompt.texts());
                of.addAll(prompt.later());
                threads.put(tools, run.device().computingThreads());
            }
        }
        texts.forEach((tools, all) -> {
            List<String> list = List.copyOf(all);
            for (int from = 0; list.size() > 1 && from < list.size(); from += PROMPTS_AT_ONCE) {
                HostTensor _ = Prompts.embed(
                        new RunSpec.Prompt(
                                list.subList(from, Math.min(list.size(), from + PROMPTS_AT_ONCE)),
                                null,
                                null,
                                tools.tokenizer(),
                                tools.textEncoder(),
                                true),
                        this::tokenizer,
                        model.path(),
                        model.config(),
                        0,
                        threads.getOrDefault(tools, 1),
                        monitor);
            }
        });
    }

    @Override
    public void close() {
        Lease present = idle;
        idle = null;
        try {
            if (present != null) {
                present.device.close();
            }
        } finally {
            model.close();
        }
    }
}
