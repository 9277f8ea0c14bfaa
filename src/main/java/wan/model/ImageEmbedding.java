package wan.model;

import org.jspecify.annotations.Nullable;
import wan.op.HostTensor;
import wan.op.Linear;
import wan.op.Ops;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;

/** A picture's features in the width of the model: {@code MLPProj} in the reference's {@code wan/modules/model.py}. */
final class ImageEmbedding {
    /** Of these two norms; all others have the configuration's. */
    private static final float EPS = 1e-5f;

    private final Ops ops;
    private final float @Nullable [] positions;
    private final Tensor norm0Weight;
    private final Tensor norm0Bias;
    private final Linear linear1;
    private final Linear linear3;
    private final Tensor norm4Weight;
    private final Tensor norm4Bias;

    ImageEmbedding(WanConfig config, Weights weights) {
        this.ops = weights.ops();
        this.positions =
                config.imagePositions() == 0 ? null : weights.view("emb_pos").toFloats();
        Weights proj = weights.in("proj.");
        this.norm0Weight = proj.parameter("0.weight");
        this.norm0Bias = proj.parameter("0.bias");
        this.linear1 = proj.precise("1");
        this.linear3 = proj.precise("3");
        this.norm4Weight = proj.parameter("4.weight");
        this.norm4Bias = proj.parameter("4.bias");
    }

    /**
     * Embeds.
     *
     * @param features [B, tokens, imageDim]; with position embeddings, the tokens of all pictures of a sample
     * @return [B * tokens, dim]
     */
    Tensor embed(HostTensor features) {
        int width = features.shape().dim(2);
        Shape rows = Shape.of(features.values().length / width, width);
        Tensor x = ops.scratch(rows);
        ops.write(x, placed(features));
        Tensor h = ops.linear(ops.layerNorm(x, norm0Weight, norm0Bias, EPS), linear1);
        // Once a run, and the only GELU of this form: on the host.
        float[] values = ops.read(h);
        for (int i = 0; i < values.length; i++) {
            values[i] = gelu(values[i]);
        }
        Tensor active = ops.scratch(rows);
        ops.write(active, values);
        return ops.layerNorm(ops.linear(active, linear3), norm4Weight, norm4Bias, EPS);
    }

    private float[] placed(HostTensor features) {
        float[] values = features.values().clone();
        if (positions == null) {
            return values;
        }
        int width = features.shape().dim(2);
        if (features.shape().dim(1) != positions.length / width) {
            throw WanException.mismatch(
                    "features of a picture",
                    positions.length / width + " tokens of the first and the last frame",
                    features.shape(),
                    "");
        }
        for (int i = 0; i < values.length; i++) {
            values[i] += positions[i % positions.length];
        }
        return values;
    }

    /** x Phi(x), with the error function itself rather than tanh. */
    static float gelu(float x) {
        return (float) (0.5 * x * (1 + erf(x / Math.sqrt(2))));
    }

    /** The error function to 1e-14: its series near 0, the continued fraction of its complement further out. */
    static double erf(double x) {
        double size = Math.abs(x);
        if (size > 6) {
            return Math.signum(x);
        }
        if (size < 2.5) {
            double term = x;
            double sum = x;
            for (int n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
                term *= -x * x / n;
                sum += term / (2 * n + 1);
            }
            return 2 / Math.sqrt(Math.PI) * sum;
        }
        double fraction = 0;
        for (int n = 60; n > 0; n--) {
            fraction = n / 2.0 / (size + fraction);
        }
        double complement = Math.exp(-size * size) / Math.sqrt(Math.PI) / (size + fraction);
        return Math.signum(x) * (1 - complement);
    }
}
