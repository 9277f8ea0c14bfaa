package capture.analysis;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

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

    /** Whether, in a captured pass, a query frame attended to a key frame. */
    public boolean attended(int queryFrame, int keyFrame) {
        return attended[queryFrame * frames + keyFrame];
    }

    /** One head's matrix, [T, T], a copy. */
    public float[] head(int headIndex) {
        int size = frames * frames;
        return Arrays.copyOfRange(values, headIndex * size, (headIndex + 1) * size);
    }

    /** The matrices of some of the heads. */
    public FrameMaps of(List<Integer> wanted) {
        int size = frames * frames;
        float[] some = new float[wanted.size() * size];
        for (int h = 0; h < wanted.size(); h++) {
            System.arraycopy(values, heads.indexOf(wanted.get(h)) * size, some, h * size, size);
        }
        return new FrameMaps(wanted, frames, some, attended);
    }

    /**
     * The values that a colour scale is made for.
     *
     * @param leastKeys rows of fewer attended keys are left out: the mass on a row's only key is 1, whatever the head does
     */
    public double[] telling(int leastKeys) {
        boolean[] tells = new boolean[frames];
        for (int q = 0; q < frames; q++) {
            int keys = 0;
            for (int k = 0; k < frames; k++) {
                keys += attended(q, k) ? 1 : 0;
            }
            tells[q] = keys >= leastKeys;
        }
        return IntStream.range(0, values.length)
                .filter(i -> tells[i / frames % frames] && Float.isFinite(values[i]))
                .mapToDouble(i -> values[i])
                .toArray();
    }

    /** The same matrices of several runs as one; attended is what all attended. */
    static FrameMaps merged(List<FrameMaps> runs, Merge merge) {
        FrameMaps first = runs.getFirst();
        FrameMaps merged = empty(first.heads, first.frames);
        double[] numbers = new double[runs.size()];
        for (int i = 0; i < merged.attended.length; i++) {
            int place = i;
            merged.attended[i] = runs.stream().allMatch(run -> run.attended[place]);
        }
        for (int i = 0; i < merged.values.length; i++) {
            if (merged.attended[i % merged.attended.length]) {
                for (int run = 0; run < numbers.length; run++) {
                    numbers[run] = runs.get(run).values[i];
                }
                merged.values[i] = (float) merge.of(numbers);
            }
        }
        return merged;
    }
}
