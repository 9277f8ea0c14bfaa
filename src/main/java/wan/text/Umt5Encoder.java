package wan.text;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import wan.file.TensorStore;
import wan.op.DType;
import wan.op.Linear;
import wan.op.Ops;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * The UMT5 text encoder in float32: {@code T5Encoder} of {@code wan/modules/t5.py}.
 *
 * <p>Each layer is computed on a backend of its own, which is closed behind it: what the backend makes of the weights (packed,
 * widened, on a device) is used once for all prompts and is gone before the next layer. So 11 GB of weights take the memory of
 * one layer, and of the embedding only the rows of the prompts' tokens are read.
 */
public final class Umt5Encoder {
    private static final float EPSILON = 1e-6f;

    private final Umt5Parameters parameters;
    private final Supplier<Ops> backends;
    private final Parallel parallel;

    /** Told after each layer. */
    @FunctionalInterface
    public interface Progress {
        /**
         * A layer is done.
         *
         * @param done layers that are done
         * @param layers all layers
         */
        void layerDone(int done, int layers);
    }

    /**
     * An encoder.
     *
     * @param store the weights, under Wan's or Hugging Face's names; stays open as long as the encoder is used
     * @param backends opens a backend
     * @param parallel shares out what the backend does not compute
     * @throws WanException if the file holds no UMT5 encoder
     */
    public Umt5Encoder(TensorStore store, Supplier<Ops> backends, Parallel parallel) {
        this.parameters = Umt5Parameters.of(store);
        this.backends = backends;
        this.parallel = parallel;
    }

    /** What a file is if it holds an encoder, for people; otherwise empty. */
    public static Optional<String> describe(TensorStore store) {
        try {
            return Optional.of(Umt5Parameters.of(store).description());
        } catch (WanException _) {
            return Optional.empty();
        }
    }

    /** Whether a path means a file of such an encoder, or a folder with one. */
    public static boolean isIn(Path path) {
        try (TensorStore store = TextEncoderFiles.open(TextEncoderFiles.find(path))) {
            return describe(store).isPresent();
        } catch (WanException _) {
            return false;
        }
    }

    /** Channels of an embedding: 4096 for UMT5-XXL. */
    public int dim() {
        return parameters.dim();
    }

    /**
     * Encodes texts, all at once. Padding takes no part: neither as a key nor as a row.
     *
     * @return for each text [count, dim], the embeddings of its tokens
     */
    public List<float[]> encode(List<TokenIds> texts, Progress progress) {
        List<TokenIds> unpadded = texts.stream()
                .map(text -> new TokenIds(Arrays.copyOf(text.ids(), text.count()), text.count(), text.truncated()))
                .toList();
        float[] x = embed(unpadded);
        for (int layer = 0; layer < parameters.layers(); layer++) {
            x = layer(layer, x, unpadded);
            progress.layerDone(layer + 1, parameters.layers());
        }
        return split(finalNorm(x), unpadded);
    }

    /** The residual stream before the first layer, the rows of all texts one behind the other: [rows, dim]. */
    float[] embed(List<TokenIds> texts) {
        float[] x = new float[Math.multiplyExact(rows(texts), parameters.dim())];
        int at = 0;
        for (TokenIds text : texts) {
            parameters.embed(text.ids(), x, at);
            at += text.ids().length * parameters.dim();
        }
        return x;
    }

    /** One layer: [rows, dim] to [rows, dim]. Rows of padding are computed too, if the texts have some. */
    float[] layer(int layer, float[] x, List<TokenIds> texts) {
        int rows = rows(texts);
        int dim = parameters.dim();
        int attentionDim = parameters.attentionDim();
        int ffnDim = parameters.ffnDim();
        String prefix = "blocks." + layer + ".";
        try (Ops ops = backends.get();
                Scope _ = ops.scope()) {
            Tensor residual = tensor(ops, x, rows, dim);

            Tensor h = ops.rmsNorm(residual, parameter(ops, prefix + "norm1.weight", dim), EPSILON);
            float[] q = ops.read(ops.linear(h, linear(ops, prefix + "attn.q.weight", attentionDim, dim)));
            float[] k = ops.read(ops.linear(h, linear(ops, prefix + "attn.k.weight", attentionDim, dim)));
            float[] v = ops.read(ops.linear(h, linear(ops, prefix + "attn.v.weight", attentionDim, dim)));
            Tensor mixed = tensor(ops, attend(layer, q, k, v, texts), rows, attentionDim);
            ops.linearResidual(residual, mixed, linear(ops, prefix + "attn.o.weight", dim, attentionDim));

            h = ops.rmsNorm(residual, parameter(ops, prefix + "norm2.weight", dim), EPSILON);
            float[] gate = ops.read(ops.linearGelu(h, linear(ops, prefix + "ffn.gate.0.weight", ffnDim, dim)));
            float[] up = ops.read(ops.linear(h, linear(ops, prefix + "ffn.fc1.weight", ffnDim, dim)));
            for (int i = 0; i < up.length; i++) {
                up[i] *= gate[i];
            }
            Tensor gated = tensor(ops, up, rows, ffnDim);
            ops.linearResidual(residual, gated, linear(ops, prefix + "ffn.fc2.weight", dim, ffnDim));
            return ops.read(residual);
        }
    }

    private float[] attend(int layer, float[] q, float[] k, float[] v, List<TokenIds> texts) {
        int heads = parameters.heads();
        TensorView table =
                parameters.get("blocks." + layer + ".pos_embedding.embedding.weight", RelativePosition.BUCKETS, heads);
        Umt5Attention attention = new Umt5Attention(heads, parameters.attentionDim(), table.toFloats());
        float[] out = new float[q.length];
        int first = 0;
        for (TokenIds text : texts) {
            attention.apply(q, k, v, first, text.ids().length, text.count(), out, parallel);
            first += text.ids().length;
        }
        return out;
    }

    /** The norm behind the last layer: [rows, dim]. */
    float[] finalNorm(float[] x) {
        int dim = parameters.dim();
        try (Ops ops = backends.get();
                Scope _ = ops.scope()) {
            return ops.read(
                    ops.rmsNorm(tensor(ops, x, x.length / dim, dim), parameter(ops, "norm.weight", dim), EPSILON));
        }
    }

    private List<float[]> split(float[] x, List<TokenIds> texts) {
        List<float[]> parts = new ArrayList<>();
        int at = 0;
        for (TokenIds text : texts) {
            int size = text.ids().length * parameters.dim();
            parts.add(Arrays.copyOfRange(x, at, at + size));
            at += size;
        }
        return parts;
    }

    private static int rows(List<TokenIds> texts) {
        return texts.stream().mapToInt(text -> text.ids().length).sum();
    }

    private static Tensor tensor(Ops ops, float[] values, int rows, int columns) {
        Tensor tensor = ops.scratch(Shape.of(rows, columns));
        ops.write(tensor, values);
        return tensor;
    }

    private Tensor parameter(Ops ops, String name, long size) {
        return ops.parameter(parameters.get(name, size));
    }

    /** T5's linear layers have no bias; the operation wants one. */
    private Linear linear(Ops ops, String name, int out, int in) {
        MemorySegment zeros = MemorySegment.ofArray(new float[out]);
        return ops.linearWeights(
                parameters.get(name, out, in), new TensorView("no bias", DType.F32, Shape.of(out), zeros));
    }
}
