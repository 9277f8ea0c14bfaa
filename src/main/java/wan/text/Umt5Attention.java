package wan.text;

import java.util.Arrays;

/**
 * T5's self-attention: unscaled logits plus a bias by relative position, softmax, weighted sum of the values.
 *
 * <p>Plain loops whose inner ones run along rows, which the JIT turns into vector code; a prompt has at most 512 tokens.
 */
final class Umt5Attention {
    private final int heads;
    private final int dim;
    private final float[] bias;

    /**
     * The attention of one layer.
     *
     * @param heads attention heads
     * @param dim channels of all heads together
     * @param bias [32, heads], by bucket
     */
    Umt5Attention(int heads, int dim, float[] bias) {
        this.heads = heads;
        this.dim = dim;
        this.bias = bias;
    }

    /**
     * Attends within one text.
     *
     * @param q [all rows, dim], of which {@code rows} from {@code first} on are the text's queries
     * @param k as q
     * @param v as q
     * @param keys how many of the rows are keys, from the first on; the others are padding
     * @param out as q; the text's rows are written
     * @param parallel shares out the heads
     */
    void apply(float[] q, float[] k, float[] v, int first, int rows, int keys, float[] out, Parallel parallel) {
        parallel.run(heads, head -> head(head, q, k, v, first, rows, keys, out));
    }

    private void head(int head, float[] q, float[] k, float[] v, int first, int rows, int keys, float[] out) {
        int headDim = dim / heads;
        float[] keysTransposed = new float[headDim * keys]; // [headDim, keys]
        for (int j = 0; j < keys; j++) {
            for (int c = 0; c < headDim; c++) {
                keysTransposed[c * keys + j] = k[(first + j) * dim + head * headDim + c];
            }
        }
        float[] biasByDelta = biasByDelta(head, rows, keys);
        float[] weights = new float[keys];
        float[] mixed = new float[headDim];
        for (int i = 0; i < rows; i++) {
            int row = (first + i) * dim + head * headDim;
            System.arraycopy(biasByDelta, rows - 1 - i, weights, 0, keys);
            for (int c = 0; c < headDim; c++) {
                addScaled(weights, keysTransposed, c * keys, q[row + c]);
            }
            float sum = exponentials(weights);
            Arrays.fill(mixed, 0);
            for (int j = 0; j < keys; j++) {
                addScaled(mixed, v, (first + j) * dim + head * headDim, weights[j] / sum);
            }
            System.arraycopy(mixed, 0, out, row, headDim);
        }
    }

    /** The bias of key minus query, from {@code -(rows - 1)} to {@code keys - 1}. */
    float[] biasByDelta(int head, int rows, int keys) {
        float[] values = new float[rows + keys];
        for (int d = 0; d < values.length; d++) {
            values[d] = bias[RelativePosition.bucket(d - (rows - 1)) * heads + head];
        }
        return values;
    }

    private static void addScaled(float[] sum, float[] values, int from, float factor) {
        for (int i = 0; i < sum.length; i++) {
            sum[i] += factor * values[from + i];
        }
    }

    /** Replaces logits by the exponentials of their distances from the largest, and returns the sum. */
    private static float exponentials(float[] logits) {
        float largest = Float.NEGATIVE_INFINITY;
        for (float logit : logits) {
            largest = Math.max(largest, logit);
        }
        double sum = 0;
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) Math.exp(logits[i] - largest);
            sum += logits[i];
        }
        return (float) sum;
    }
}
