package wan.run;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import wan.file.Contents;
import wan.file.Messages;
import wan.file.TensorStore;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.jvm.kernel.Workers;
import wan.model.WanConfig;
import wan.op.FormatException;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.UsageException;
import wan.op.WanException;
import wan.text.PromptEmbeddingFile;
import wan.text.PromptEncoder;
import wan.text.TokenIds;
import wan.text.Tokenizer;
import wan.text.Umt5Encoder;

/** The inputs of a run besides noise: embeddings of its prompts, and latent frames. */
public final class Prompts {
    private Prompts() {}

    /** How many samples a prompt gives, without encoding anything. */
    static int count(RunSpec.Prompt prompt) {
        if (prompt.embeddings() == null) {
            return Math.max(1, prompt.texts().size());
        }
        return PromptEmbeddingFile.count(prompt.embeddings());
    }

    /** What the metadata say of it. */
    static String describe(RunSpec.Prompt prompt) {
        if (prompt.embeddings() != null) {
            return "(embeddings from a file)";
        }
        return prompt.texts().isEmpty() ? "(random embeddings)" : String.join("\n", prompt.texts());
    }

    /**
     * The embeddings, [B, textLen, textDim]; drawn from the seed where there is no prompt.
     *
     * @param tokenizers gives the tokenizer of a prompt
     * @param model the folder of what the prompt has no path for, or null
     * @param threads that compute
     */
    static HostTensor embed(
            RunSpec.Prompt prompt,
            Function<RunSpec.Prompt, Tokenizer> tokenizers,
            @Nullable Path model,
            WanConfig config,
            long seed,
            int threads,
            RunMonitor monitor) {
        if (prompt.embeddings() != null) {
            return PromptEmbeddingFile.read(prompt.embeddings(), config.textLen(), config.textDim());
        }
        if (prompt.texts().isEmpty()) {
            monitor.notice("no prompt: random prompt embeddings drawn from the seed");
            return random(Shape.of(1, config.textLen(), config.textDim()), seed);
        }
        Tokenizer tokenizer = tokenizers.apply(prompt);
        List<TokenIds> texts = prompt.texts().stream()
                .map(text -> tokenizer.encodePrompt(text, config.textLen()))
                .toList();
        Path encoder = path("prompt.text_encoder", prompt.textEncoder(), model);
        HostTensor embeddings = encode(texts, encoder, config.textLen(), prompt.keep(), threads, (done, layers) -> {
            monitor.checkCancelled();
            monitor.encoding(done, layers);
        });
        if (embeddings.shape().dim(-1) != config.textDim()) {
            throw new UsageException("prompt.text_encoder: expected an encoder of " + config.textDim()
                    + " channels, as the model takes, got one of "
                    + embeddings.shape().dim(-1));
        }
        return embeddings;
    }

    /** Reads the tokenizer of a prompt: the one that it names, or that of its text encoder or of the model. */
    static Tokenizer tokenizer(RunSpec.Prompt prompt, @Nullable Path model) {
        boolean named = prompt.tokenizer() != null || (prompt.textEncoder() == null && model == null);
        return named
                ? Tokenizer.open(path("prompt.tokenizer", prompt.tokenizer(), model))
                : Tokenizer.open(Tokenizer.places(prompt.textEncoder(), model));
    }

    /**
     * The tokens that cross-attention attends to, in words: of the prompt, then of the others that {@link #embedAll} encodes.
     *
     * @param guided whether the sampler is guided
     * @param tokenizers gives the tokenizer of a prompt
     * @param textLen at which prompts are cut
     * @return [prompt, sample, token], {@code </s>} last; nothing where the prompt is no text
     */
    static List<List<List<String>>> tokens(
            RunSpec.Prompt prompt, boolean guided, Function<RunSpec.Prompt, Tokenizer> tokenizers, int textLen) {
        if (prompt.texts().isEmpty() || prompt.embeddings() != null) {
            return List.of();
        }
        Tokenizer tokenizer = tokenizers.apply(prompt);
        List<List<String>> texts = new ArrayList<>(List.of(prompt.texts()));
        for (String other : others(prompt, guided)) {
            texts.add(Collections.nCopies(prompt.texts().size(), other));
        }
        return texts.stream()
                .map(samples -> samples.stream()
                        .map(text -> tokenizer.promptPieces(text, textLen))
                        .toList())
                .toList();
    }

    /** The prompts beside the first: the negative one under guidance, later ones otherwise. */
    private static List<String> others(RunSpec.Prompt prompt, boolean guided) {
        return guided ? List.of(prompt.negative() == null ? NEGATIVE : prompt.negative()) : prompt.later();
    }

    /** Wan's own, from {@code wan/configs/shared_config.py}. */
    static final String NEGATIVE = "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，"
            + "残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走";

    /**
     * Embeddings of the prompt, then of later prompts, or under guidance of the negative prompt.
     *
     * @param guided whether the sampler is guided
     * @param tokenizers gives the tokenizer of a prompt
     * @param model the folder of what the prompt has no path for, or null
     * @param threads that compute
     * @return each [B, textLen, textDim]
     */
    static List<HostTensor> embedAll(
            RunSpec.Prompt prompt,
            boolean guided,
            Function<RunSpec.Prompt, Tokenizer> tokenizers,
            @Nullable Path model,
            WanConfig config,
            long seed,
            int threads,
            RunMonitor monitor) {
        if (prompt.negative() != null && !guided) {
            monitor.notice("prompt.negative: not used, since this model runs without guidance");
        }
        List<HostTensor> all =
                new ArrayList<>(List.of(embed(prompt, tokenizers, model, config, seed, threads, monitor)));
        for (String text : others(prompt, guided)) {
            boolean drawn = prompt.texts().isEmpty() && prompt.embeddings() == null;
            if (drawn) {
                all.add(random(all.getFirst().shape(), seed + all.size()));
                continue;
            }
            RunSpec.Prompt other = new RunSpec.Prompt(
                    Collections.nCopies(all.getFirst().shape().dim(0), text),
                    null,
                    null,
                    prompt.tokenizer(),
                    prompt.textEncoder(),
                    prompt.keep());
            all.add(embed(other, tokenizers, model, config, seed, threads, monitor));
        }
        return all;
    }

    /**
     * Embeddings of token ids, as many channels as the encoder has.
     *
     * @param encoder the encoder's file, or a folder with it
     * @param threads that compute
     * @param keep whether they are looked for among those kept, and kept
     * @return [texts, textLen, channels]
     */
    public static HostTensor encode(
            List<TokenIds> texts, Path encoder, int textLen, boolean keep, int threads, Umt5Encoder.Progress progress) {
        try (Workers workers = new Workers(threads)) {
            return new PromptEncoder(
                            encoder,
                            () -> new JvmOps(new JvmOptions(threads, JvmOptions.Kind.AUTO)),
                            (count, task) -> workers.run(count, (i, _) -> task.accept(i)),
                            textLen,
                            keep ? Optional.of(PromptEncoder.defaultCacheFolder()) : Optional.empty())
                    .encode(texts, progress);
        }
    }

    /** The latent frames of a file, [B, F0, C, H, W]. */
    static HostTensor initialLatent(Path path) {
        try (TensorStore file = TensorStore.open(path)) {
            if (!file.names().contains("initial_latent")) {
                throw new FormatException(
                        path,
                        "expected a tensor initial_latent, as encode writes it, got "
                                + Messages.shown(String.join(", ", file.names()))
                                + Contents.of(file.names()).itIs());
            }
            TensorView view = file.tensor("initial_latent");
            if (view.shape().rank() != 5) {
                throw WanException.mismatch(path + ": initial_latent", "[B, F, C, H, W]", view.shape(), "");
            }
            float[] values = view.toFloats();
            for (float value : values) {
                if (!Float.isFinite(value)) {
                    throw new FormatException(path, "initial_latent has values that are not finite");
                }
            }
            return new HostTensor(view.shape(), values);
        }
    }

    private static HostTensor random(Shape shape, long seed) {
        float[] values = new float[shape.intSize()];
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return new HostTensor(shape, values);
    }

    private static Path path(String field, @Nullable Path given, @Nullable Path model) {
        if (given != null) {
            return given;
        }
        if (model == null) {
            throw new UsageException(
                    field + ": expected a file, or model.path with a folder that has one, got neither");
        }
        return model;
    }
}
