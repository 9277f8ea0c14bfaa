package wan.jvm;

import java.util.stream.IntStream;
import wan.op.Grid;

/**
 * Three-axis rotary embedding in double, as the reference's {@code causal_rope_apply} computes it (complex128).
 *
 * <p>The table of a call is small (frames + rows + columns, times a third of the pairs), so each call makes its own.
 */
final class Rope {
    private static final double THETA = 10_000;

    private final Grid grid;
    private final int headDim;
    /** Cosine and sine alternating: [axis][frame, row or column][pair of the axis]. */
    private final double[][] tables;

    /** The tables for frames at these time positions, one per frame. */
    Rope(Grid grid, int headDim, int[] positions) {
        this.grid = grid;
        this.headDim = headDim;
        int pairs = headDim / 2;
        int third = pairs / 3;
        this.tables = new double[][] {
            table(positions, pairs - 2 * third),
            table(IntStream.range(0, grid.rows()).toArray(), third),
            table(IntStream.range(0, grid.columns()).toArray(), third)
        };
    }

    static double[] table(int[] positions, int pairs) {
        double[] table = new double[positions.length * pairs * 2];
        for (int i = 0; i < positions.length; i++) {
            for (int pair = 0; pair < pairs; pair++) {
                double angle = positions[i] * Math.pow(THETA, -(double) pair / pairs);
                table[2 * (i * pairs + pair)] = Math.cos(angle);
                table[2 * (i * pairs + pair) + 1] = Math.sin(angle);
            }
        }
        return table;
    }

    /** Turns rows {@code from} to {@code to} of x [batch * tokens, heads * headDim] in place. */
    void apply(float[] x, int heads, int from, int to) {
        int third = headDim / 2 / 3 * 2;
        int[] channels = {headDim - 2 * third, third, third};
        for (int row = from; row < to; row++) {
            int token = row % grid.tokens();
            int inFrame = token % grid.frameSeqLen();
            int[] positions = {token / grid.frameSeqLen(), inFrame / grid.columns(), inFrame % grid.columns()};
            for (int head = 0; head < heads; head++) {
                int at = (row * heads + head) * headDim;
                for (int axis = 0; axis < 3; axis++) {
                    turn(x, at, channels[axis], tables[axis], positions[axis] * channels[axis]);
                    at += channels[axis];
                }
            }
        }
    }

    private static void turn(float[] x, int at, int channels, double[] table, int tableAt) {
        for (int i = 0; i < channels; i += 2) {
            double cos = table[tableAt + i];
            double sin = table[tableAt + i + 1];
            double real = x[at + i];
            double imaginary = x[at + i + 1];
            x[at + i] = (float) (real * cos - imaginary * sin);
            x[at + i + 1] = (float) (real * sin + imaginary * cos);
        }
    }
}
