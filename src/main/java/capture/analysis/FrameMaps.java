package capture.analysis;

import java.util.Arrays;
import java.util.List;

/**
 * Frame-by-frame values of one layer and one slot: logits or mass, query frame by key frame, both absolute.
 *
 * @param heads 0-based numbers of the N heads
 * @param frames frames of the rollout, T
 * @param values [N, T, T] in C order; NaN where nothing was attended or captured, or where the run computed no number
 * @param attended [T, T]: what the captured passes attended
 */
@SuppressWarnings("ArrayRecordComponent") // a view, compared by nobody
public record FrameMaps(List<Integer> heads, int frames, float[] values, boolean[] attended) {
    /** An empty set of maps. */
    static FrameMaps empty(List<Integer> heads, int frames) {
        float[] values = new float[Math.multiplyExact(heads.size(), Math.multiplyExact(frames, frames))];
        Arrays.fill(values, Float.NaN);
        return new FrameMaps(heads, frames, values, new boolean[frames * frames]);
    }

    /**
     * Enters what one pass captured.
     *
     * @param passValues [N, f, K] in C order
     */
    void put(CapturedPass pass, float[] passValues) {
        int keys = pass.keyFrames().size();
        for (int q = 0; q < pass.frames(); q++) {
            for (int key : pass.keyFrames()) {
                attended[(pass.firstFrame() + q) * frames + key] = true;
            }
        }
        int[] columns = pass.keyFrames().stream().mapToInt(Integer::intValue).toArray();
        for (int h = 0; h < heads.size(); h++) {
            for (int q = 0; q < pass.frames(); q++) {
                int row = (h * frames + pass.firstFrame() + q) * frames;
                int from = (h * pass.frames() + q) * keys;
                for (int k = 0; k < keys; k++) {
                    values[row + columns[k]] = passValues[from + k];
                }
            }
        }
    }

    /** One value; NaN where there is none. */
    public float get(int headIndex, int queryFrame, int keyFrame) {
        return values[(headIndex * frames + queryFrame) * frames + keyFrame];
    }

    /** Whether a captured pass attended a key frame from a query frame. */
    public boolean attended(int queryFrame, int keyFrame) {
        return attended[queryFrame * frames + keyFrame];
    }

    /** One head's matrix, [T, T], a copy. */
    public float[] head(int headIndex) {
        int size = frames * frames;
        return Arrays.copyOfRange(values, headIndex * size, (headIndex + 1) * size);
    }

    /** Largest magnitude of all finite values; 0 if there are none. */
    public double limit() {
        return limit(values);
    }

    /** Largest magnitude of the finite ones among some values; 0 if there are none. */
    public static double limit(float... values) {
        double limit = 0;
        for (float value : values) {
            if (Float.isFinite(value)) {
                limit = Math.max(limit, Math.abs(value));
            }
        }
        return limit;
    }
}
