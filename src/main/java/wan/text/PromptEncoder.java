package wan.text;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Supplier;
import wan.file.TensorStore;
import wan.op.HostTensor;
import wan.op.NonFiniteException;
import wan.op.Ops;
import wan.op.Shape;
import wan.op.WanException;

/** Prompts, as the tokenizer gives them, to embeddings, which are kept. The file of weights is opened only for what is not kept yet. */
public final class PromptEncoder {
    /** Bounds what the wide layer takes (10240 channels a row) when many prompts are encoded. */
    private static final int ROWS_AT_ONCE = 2048;

    private final List<Path> weights;
    private final Supplier<Ops> backends;
    private final Parallel parallel;
    private final int textLen;
    private final Optional<EmbeddingCache> cache;

    /**
     * An encoder of prompts.
     *
     * @param weights the text encoder's file or a folder with it
     * @param backends opens a backend; called for every layer
     * @param parallel shares out what the backend does not compute
     * @param textLen tokens that the model takes; 512 for Wan
     * @param cacheFolder where embeddings are kept, or empty for nowhere; see {@link #defaultCacheFolder}
     * @throws WanException if there are no weights
     */
    public PromptEncoder(
            Path weights, Supplier<Ops> backends, Parallel parallel, int textLen, Optional<Path> cacheFolder) {
        this.weights = TextEncoderFiles.find(weights);
        this.backends = backends;
        this.parallel = parallel;
        this.textLen = textLen;
        this.cache = cacheFolder.map(folder -> new EmbeddingCache(folder, TextEncoderFiles.fingerprint(this.weights)));
    }

    /** {@code WAN_ATTN_CACHE}, or else {@code .cache/wan-attn} in the home folder. */
    public static Path defaultCacheFolder() {
        return EmbeddingCache.defaultFolder();
    }

    /**
     * Encodes prompts.
     *
     * @param texts at least one, each of at most textLen tokens; see {@link Tokenizer#encodePrompt}
     * @param progress told after each layer of each batch, counted through; not at all if nothing has to be computed
     * @return [texts, textLen, dim]; rows behind a text's tokens are zero
     */
    public HostTensor encode(List<TokenIds> texts, Umt5Encoder.Progress progress) {
        Map<List<Integer>, float[]> known = new LinkedHashMap<>();
        Map<List<Integer>, TokenIds> unknown = new LinkedHashMap<>();
        for (TokenIds text : texts) {
            cache.flatMap(entries -> entries.get(text))
                    .ifPresentOrElse(
                            values -> known.put(key(text), values), () -> unknown.putIfAbsent(key(text), text));
        }
        if (!unknown.isEmpty()) {
            compute(List.copyOf(unknown.values()), texts.size(), known, progress);
        }
        return padded(
                texts.stream()
                        .map(text -> Objects.requireNonNull(known.get(key(text))))
                        .toList(),
                texts.getFirst().count());
    }

    /**
     * Computes what is not kept.
     *
     * @param all how many texts the result is to have
     */
    private void compute(
            List<TokenIds> texts, int all, Map<List<Integer>, float[]> known, Umt5Encoder.Progress progress) {
        try (TensorStore store = TextEncoderFiles.open(weights)) {
            Umt5Encoder encoder = new Umt5Encoder(store, backends, parallel);
            Shape _ = shape(all, encoder.dim());
            List<List<TokenIds>> batches = batches(texts);
            for (int i = 0; i < batches.size(); i++) {
                int before = i;
                List<TokenIds> batch = batches.get(i);
                List<float[]> encoded = encoder.encode(
                        batch, (done, layers) -> progress.layerDone(before * layers + done, batches.size() * layers));
                for (int j = 0; j < batch.size(); j++) {
                    TokenIds text = batch.get(j);
                    float[] values = encoded.get(j);
                    NonFiniteException.check(
                            store.path() + ": embeddings", Shape.of(text.count(), encoder.dim()), values);
                    known.put(key(text), values);
                    cache.ifPresent(entries -> entries.put(text, values));
                }
            }
        }
    }

    /** Texts one after the other, at most {@link #ROWS_AT_ONCE} tokens together. */
    private static List<List<TokenIds>> batches(List<TokenIds> texts) {
        List<List<TokenIds>> batches = new ArrayList<>();
        for (int from = 0, to; from < texts.size(); from = to) {
            int rows = texts.get(from).count();
            for (to = from + 1; to < texts.size(); to++) {
                rows += texts.get(to).count();
                if (rows > ROWS_AT_ONCE) {
                    break;
                }
            }
            batches.add(texts.subList(from, to));
        }
        return batches;
    }

    private Shape shape(int texts, int dim) {
        long most = (Integer.MAX_VALUE - 8L) / ((long) textLen * dim);
        if (texts > most) {
            throw WanException.mismatch("prompts", "at most " + most + " at once", texts, "");
        }
        return Shape.of(texts, textLen, dim);
    }

    private HostTensor padded(List<float[]> embeddings, int firstCount) {
        int dim = embeddings.getFirst().length / firstCount;
        HostTensor out = HostTensor.zeros(shape(embeddings.size(), dim));
        for (int i = 0; i < embeddings.size(); i++) {
            float[] rows = embeddings.get(i);
            System.arraycopy(rows, 0, out.values(), i * textLen * dim, rows.length);
        }
        return out;
    }

    private static List<Integer> key(TokenIds text) {
        return Arrays.stream(text.ids(), 0, text.count()).boxed().toList();
    }
}
