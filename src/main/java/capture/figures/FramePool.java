package capture.figures;

import capture.analysis.CapturedPass;
import capture.analysis.PassSlot;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import wan.pass.PassId;

/**
 * Frame-by-frame matrices of long runs made smaller: means over squares of neighbouring frames. A cell is the mean of what was attended
 * in its square; it is not finite if one of these values is not.
 *
 * @param step frames of a square's side; 1 leaves the matrices as they are
 * @param bands the rows of the matrices, of every slot in turn where squares are pooled
 */
record FramePool(int step, List<Band> bands, List<PassSlot> slots) {
    /**
     * Rows of a matrix that attend to the same key frames.
     *
     * @param slot which matrix; -1 for all of them
     * @param first first query frame, in steps
     * @param frames query frames, in steps
     * @param keys attended key frames, in steps
     */
    record Band(int slot, int first, int frames, List<Integer> keys) {
        long cells() {
            return (long) frames * keys.size();
        }
    }

    /**
     * The finest squares for which there is room.
     *
     * @param frames of the rollout
     * @param most cells in all bands together
     */
    static FramePool of(int frames, List<PassSlot> slots, List<CapturedPass> passes, long most) {
        List<Band> whole = new ArrayList<>();
        for (CapturedPass pass : passes) {
            int slot = pass.id().kind() == PassId.Kind.INIT ? -1 : slotOf(slots, pass);
            whole.add(new Band(slot, pass.firstFrame(), pass.frames(), pass.keyFrames()));
        }
        FramePool pool = new FramePool(1, whole, slots);
        while (pool.cells() > most && pool.step < frames) {
            pool = pooled(pool.step + 1, frames, slots, passes);
        }
        return pool;
    }

    private static int slotOf(List<PassSlot> slots, CapturedPass pass) {
        for (int i = 0; i < slots.size(); i++) {
            if (slots.get(i).holds(pass.id())) {
                return i;
            }
        }
        return -1;
    }

    private static FramePool pooled(int step, int frames, List<PassSlot> slots, List<CapturedPass> passes) {
        int size = Math.ceilDiv(frames, step);
        List<Band> bands = new ArrayList<>();
        for (int slot = 0; slot < slots.size(); slot++) {
            List<TreeSet<Integer>> keys = new ArrayList<>();
            for (int row = 0; row < size; row++) {
                keys.add(new TreeSet<>());
            }
            for (CapturedPass pass : passes) {
                if (slots.get(slot).holds(pass.id())) {
                    for (int q = pass.firstFrame() / step; q <= (pass.firstFrame() + pass.frames() - 1) / step; q++) {
                        for (int key : pass.keyFrames()) {
                            keys.get(q).add(key / step);
                        }
                    }
                }
            }
            for (int row = 0; row < size; row++) {
                if (!keys.get(row).isEmpty()) {
                    bands.add(new Band(slot, row, 1, List.copyOf(keys.get(row))));
                }
            }
        }
        return new FramePool(step, bands, slots);
    }

    private long cells() {
        return bands.stream().mapToLong(Band::cells).sum();
    }

    /** What takes the values of one layer. */
    Means means(int heads) {
        return new Means(heads);
    }

    /** Receives values in the order of the file. */
    interface Sink {
        void put(float value);
    }

    /** Sums of one layer's values, by head and cell of the pooled bands. */
    final class Means {
        private final int heads;
        private final int cells = Math.toIntExact(cells());
        private final int[][] at =
                new int[slots.size()][]; // where each cell of a slot's matrix lies, by row and column
        private final int size;
        private final double[] sums;
        private final int[] counts = new int[cells];

        private Means(int heads) {
            this.heads = heads;
            sums = new double[Math.multiplyExact(heads, cells)];
            size = 1
                    + bands.stream()
                            .mapToInt(band -> Math.max(band.first, band.keys.getLast()))
                            .max()
                            .orElse(0);
            int next = 0;
            for (Band band : bands) {
                if (at[band.slot] == null) {
                    at[band.slot] = new int[size * size];
                }
                for (int key : band.keys) {
                    at[band.slot][band.first * size + key] = next++;
                }
            }
        }

        /** Adds what one pass captured, [N, f, K]. */
        void add(CapturedPass pass, float[] values) {
            int keys = pass.keyFrames().size();
            int[] columns =
                    pass.keyFrames().stream().mapToInt(key -> key / step).toArray();
            for (int slot = 0; slot < slots.size(); slot++) {
                if (!slots.get(slot).holds(pass.id())) {
                    continue;
                }
                for (int q = 0; q < pass.frames(); q++) {
                    int row = (pass.firstFrame() + q) / step * size;
                    for (int k = 0; k < keys; k++) {
                        int cell = at[slot][row + columns[k]];
                        counts[cell]++;
                        for (int h = 0; h < heads; h++) {
                            sums[h * cells + cell] += values[(h * pass.frames() + q) * keys + k];
                        }
                    }
                }
            }
        }

        /** The means, [N, cells]; NaN where nothing was added, infinity where a value was not finite. */
        void forEach(Sink sink) {
            for (int i = 0; i < sums.length; i++) {
                int count = counts[i % cells];
                double mean = sums[i] / count;
                sink.put(count == 0 ? Float.NaN : Double.isFinite(mean) ? (float) mean : Float.POSITIVE_INFINITY);
            }
        }
    }
}
