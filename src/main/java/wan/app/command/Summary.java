package wan.app.command;

import capture.FrameMatrix;
import capture.analysis.HeadId;
import java.io.PrintStream;
import java.util.List;
import java.util.Locale;
import wan.op.HostTensor;

/**
 * The summary of a layer's frame matrix that the reference's script and notebook print.
 *
 * @param heads the heads that were captured
 * @param lastStart first query frame of the last frame block
 */
record Summary(int layer, FrameMatrix matrix, List<Integer> heads, int lastStart) {
    /**
     * Prints the layer.
     *
     * @param detailed every head's line, or one line for the layer
     */
    void print(PrintStream out, boolean detailed) {
        int frames = matrix.frames();
        double min = Double.POSITIVE_INFINITY;
        double max = Double.NEGATIVE_INFINITY;
        Mean diagonal = new Mean();
        Mean firstFrame = new Mean();
        for (int h = 0; h < matrix.heads(); h++) {
            for (int q = 0; q < frames; q++) {
                for (int k = 0; k < frames; k++) {
                    if (!matrix.attended(q, k)) {
                        continue;
                    }
                    float value = matrix.get(h, q, k);
                    min = Math.min(min, value); // NaN stays
                    max = Math.max(max, value);
                    if (k == q) {
                        diagonal.add(value);
                    }
                    if (k == 0) {
                        firstFrame.add(value);
                    }
                }
            }
        }
        if (!detailed) {
            out.printf(
                    Locale.ROOT,
                    "layer %2d (L%d)  range [%.3f, %.3f]  diagonal mean %.3f  first frame (sink) mean %.3f%n",
                    layer,
                    layer + 1,
                    min,
                    max,
                    diagonal.value(),
                    firstFrame.value());
            return;
        }
        out.printf(Locale.ROOT, "Layer %d (L%d)%n", layer, layer + 1);
        out.printf(
                Locale.ROOT,
                "  full_frame_attention        [%d, %d, %d]  [heads, query frames, key frames]%n",
                matrix.heads(),
                frames,
                frames);
        out.printf(
                Locale.ROOT,
                "  last_block_frame_attention  [%d, %d]  query frames %d to %d%n",
                matrix.heads(),
                frames,
                lastStart,
                frames - 1);
        out.printf(Locale.ROOT, "  range                       [%.4f, %.4f]%n", min, max);
        out.printf(Locale.ROOT, "  diagonal mean               %.4f%n", diagonal.value());
        out.printf(Locale.ROOT, "  first frame (sink) mean     %.4f%n", firstFrame.value());
        out.printf(
                Locale.ROOT,
                "  head   label    first   middle     last     sink   (last frame block; sink = first - middle)%n");
        HostTensor last = matrix.lastFrameBlock(lastStart);
        for (int h = 0; h < matrix.heads(); h++) {
            float[] row = new float[frames];
            System.arraycopy(last.values(), h * frames, row, 0, frames);
            double middle = middle(row, lastStart);
            out.printf(
                    Locale.ROOT,
                    "  %4d  %6s  %+7.3f  %+7.3f  %+7.3f  %+7.3f%n",
                    heads.get(h),
                    new HeadId(layer, heads.get(h)).label(),
                    row[0],
                    middle,
                    row[frames - 1],
                    row[0] - middle);
        }
    }

    /** Mean over all attended key frames but the first and last of the rollout; over all of them, where that leaves none. */
    private double middle(float[] row, int queryFrame) {
        Mean inner = new Mean();
        Mean all = new Mean();
        for (int k = 0; k < row.length; k++) {
            if (!matrix.attended(queryFrame, k)) {
                continue;
            }
            all.add(row[k]);
            if (k > 0 && k < row.length - 1) {
                inner.add(row[k]);
            }
        }
        return inner.count == 0 ? all.value() : inner.value();
    }

    /** A mean; NaN of nothing. */
    private static final class Mean {
        private double sum;
        private int count;

        void add(float value) {
            sum += value;
            count++;
        }

        double value() {
            return count == 0 ? Double.NaN : sum / count;
        }
    }
}
