package capture.analysis;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The input of the measures of one head: its matrices in one slot, and the frame block whose queries count. Shared intermediate
 * values are computed once. Not thread-safe.
 */
public final class HeadView {
    private final HeadId head;
    private final FrameBlock block;
    private final Matrices matrices;
    private int @Nullable [] keyFrames;
    private double @Nullable [] logitRow;
    private double @Nullable [] massRow;
    private @Nullable Spectrum spectrum;

    /**
     * A view.
     *
     * @param head which head
     * @param frames frames of the rollout, T
     * @param block the query frames
     * @param attended [T, T]: what the captured passes attended
     * @param logits frame logits [T, T]; null if not captured. NaN where nothing was attended, or where the run computed no number,
     *     which leaves a measure without a value
     * @param mass frame mass [T, T], likewise
     */
    public HeadView(
            HeadId head,
            int frames,
            FrameBlock block,
            boolean[] attended,
            float @Nullable [] logits,
            float @Nullable [] mass) {
        this(head, block, new Matrices(frames, attended, logits, mass));
    }

    private HeadView(HeadId head, FrameBlock block, Matrices matrices) {
        this.head = head;
        this.block = block;
        this.matrices = matrices;
    }

    /** The same head, seen from another frame block's queries. */
    HeadView seenFrom(FrameBlock other) {
        return new HeadView(head, other, matrices);
    }

    /** Which head. */
    public HeadId head() {
        return head;
    }

    /** Frames of the rollout, T. */
    public int frames() {
        return matrices.frames;
    }

    /** The query frames. */
    public FrameBlock block() {
        return block;
    }

    /** Frame logits [T, T]; null if not captured. */
    public float @Nullable [] logits() {
        return matrices.logits;
    }

    /** Frame mass [T, T]; null if not captured. */
    public float @Nullable [] mass() {
        return matrices.mass;
    }

    /** Absolute frames that the frame block attended, ascending; empty if it was not captured. Not to be changed. */
    public int[] keyFrames() {
        if (keyFrames == null) {
            int[] found = new int[frames()];
            int count = 0;
            for (int k = 0; k < found.length; k++) {
                if (attended(block.first(), k)) {
                    found[count++] = k;
                }
            }
            keyFrames = Arrays.copyOf(found, count);
        }
        return keyFrames;
    }

    /** Whether a query frame attended to a key frame. */
    boolean attended(int queryFrame, int keyFrame) {
        return matrices.attended[queryFrame * frames() + keyFrame];
    }

    /**
     * Mean logit over the query frames of the frame block, by key frame, [T]; NaN where nothing was attended, and throughout if logits
     * were not captured. Not to be changed.
     */
    public double[] logitRow() {
        if (logitRow == null) {
            logitRow = row(matrices.logits);
        }
        return logitRow;
    }

    /** Mean mass, likewise. */
    public double[] massRow() {
        if (massRow == null) {
            massRow = row(matrices.mass);
        }
        return massRow;
    }

    private double[] row(float @Nullable [] matrix) {
        double[] row = new double[frames()];
        if (matrix == null) {
            Arrays.fill(row, Double.NaN);
            return row;
        }
        for (int q = block.first(); q < block.end(); q++) {
            int from = q * row.length;
            for (int k = 0; k < row.length; k++) {
                row[k] += matrix[from + k];
            }
        }
        for (int k = 0; k < row.length; k++) {
            row[k] /= block.frames();
        }
        return row;
    }

    /** The strongest oscillation of the row's logits over the longest run of neighbouring key frames, the newest of equally long ones. */
    Spectrum spectrum() {
        if (spectrum == null) {
            int bestEnd = 0;
            int bestLength = 0;
            int length = 0;
            for (int k = 0; k < frames(); k++) {
                length = attended(block.first(), k) ? length + 1 : 0;
                if (length > 0 && length >= bestLength) {
                    bestLength = length;
                    bestEnd = k + 1;
                }
            }
            spectrum = Spectrum.of(Arrays.copyOfRange(logitRow(), bestEnd - bestLength, bestEnd));
        }
        return spectrum;
    }

    /** Mean logit of a frame with itself, over all frames that attended themselves. */
    double diagonalMean() {
        return matrices.diagonalMean();
    }

    /** Mean logit of all frames with the first one, where it was attended. */
    double firstFrameMean() {
        return matrices.firstFrameMean();
    }

    /**
     * Share of the mass on some of the attended key frames.
     *
     * @param from index into {@link #keyFrames}, inclusive
     * @param to likewise, exclusive; both are clipped
     */
    double massOf(int from, int to) {
        int[] keys = keyFrames();
        double[] row = massRow();
        double sum = matrices.mass == null || keys.length == 0 ? Double.NaN : 0;
        for (int i = Math.max(0, from); i < Math.min(keys.length, to); i++) {
            sum += row[keys[i]];
        }
        return sum;
    }

    /** How many of the attended key frames lie before the frame block. */
    int earlierKeys() {
        int at = Arrays.binarySearch(keyFrames(), block.first());
        return at < 0 ? -at - 1 : at;
    }

    /** What the views from all frame blocks share. */
    private static final class Matrices {
        private final int frames;
        private final boolean[] attended;
        private final float @Nullable [] logits;
        private final float @Nullable [] mass;
        private @Nullable Double diagonalMean;
        private @Nullable Double firstFrameMean;

        Matrices(int frames, boolean[] attended, float @Nullable [] logits, float @Nullable [] mass) {
            this.frames = frames;
            this.attended = attended;
            this.logits = logits;
            this.mass = mass;
        }

        double diagonalMean() {
            if (diagonalMean == null) {
                diagonalMean = mean(frames + 1);
            }
            return diagonalMean;
        }

        double firstFrameMean() {
            if (firstFrameMean == null) {
                firstFrameMean = mean(frames);
            }
            return firstFrameMean;
        }

        /** Mean logit of every step-th cell, one of each row, where it was attended. */
        private double mean(int step) {
            double sum = 0;
            int count = 0;
            for (int i = 0; logits != null && i < logits.length; i += step) {
                if (attended[i]) {
                    sum += logits[i];
                    count++;
                }
            }
            return count == 0 ? Double.NaN : sum / count;
        }
    }
}
