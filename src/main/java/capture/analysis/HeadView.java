package capture.analysis;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What the measures of one head look at: its matrices in one slot, and the frame block whose query frames count.
 *
 * @param head which head
 * @param frames frames of the rollout, T
 * @param block the query frames
 * @param attended [T, T]: what the captured passes attended
 * @param logits frame logits [T, T]; null if not captured. NaN where nothing was attended, or where the run computed no number, which
 *     leaves a measure without a value
 * @param mass frame mass [T, T], likewise
 */
@SuppressWarnings("ArrayRecordComponent") // a view, compared by nobody
public record HeadView(
        HeadId head,
        int frames,
        FrameBlock block,
        boolean[] attended,
        float @Nullable [] logits,
        float @Nullable [] mass) {
    /** Absolute frames that the frame block attended, ascending; empty if it was not captured. */
    public int[] keyFrames() {
        return IntStream.range(0, frames)
                .filter(k -> attended(block.first(), k))
                .toArray();
    }

    /** Whether a query frame attended a key frame. */
    boolean attended(int queryFrame, int keyFrame) {
        return attended[queryFrame * frames + keyFrame];
    }

    /**
     * Mean over the query frames of the frame block, by key frame, [T]; NaN where nothing was attended.
     *
     * @param matrix {@link #logits} or {@link #mass}; null gives NaN throughout
     */
    public double[] row(float @Nullable [] matrix) {
        double[] row = new double[frames];
        if (matrix == null) {
            Arrays.fill(row, Double.NaN);
            return row;
        }
        for (int k = 0; k < frames; k++) {
            double sum = 0;
            for (int q = block.first(); q < block.end(); q++) {
                sum += matrix[q * frames + k];
            }
            row[k] = sum / block.frames();
        }
        return row;
    }

    /**
     * Share of the mass on some of the attended key frames.
     *
     * @param from index into {@link #keyFrames}, inclusive
     * @param to likewise, exclusive; both are clipped
     */
    double massOf(int from, int to) {
        int[] keys = keyFrames();
        double[] row = row(mass);
        double sum = mass == null || keys.length == 0 ? Double.NaN : 0;
        for (int i = Math.max(0, from); i < Math.min(keys.length, to); i++) {
            sum += row[keys[i]];
        }
        return sum;
    }

    /** How many of the attended key frames lie before the frame block. */
    int earlierKeys() {
        return (int) Arrays.stream(keyFrames()).filter(k -> k < block.first()).count();
    }
}
