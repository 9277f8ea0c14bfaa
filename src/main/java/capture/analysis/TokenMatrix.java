package capture.analysis;

/**
 * Logits of single tokens of one head, query token by key token, averaged over rectangles of tokens where there are too many.
 *
 * @param queries query tokens, Lq
 * @param keys key tokens, Lk
 * @param rows at most Lq
 * @param columns at most Lk
 * @param values [rows, columns], first query and first key first; NaN where all of a rectangle is hidden
 */
@SuppressWarnings("ArrayRecordComponent") // a view, compared by nobody
public record TokenMatrix(int queries, int keys, int rows, int columns, float[] values) {
    /** One row of the file. */
    interface Row {
        /** The logits of a query token, [Lk]. */
        float[] of(int query);
    }

    /** Reads row by row; what is hidden, minus infinity, does not count. */
    static TokenMatrix of(int queries, int keys, int most, Row source) {
        int rows = Math.min(queries, most);
        int columns = Math.min(keys, most);
        float[] values = new float[rows * columns];
        for (int row = 0; row < rows; row++) {
            double[] sums = new double[columns];
            int[] counts = new int[columns];
            int end = (int) ((row + 1L) * queries / rows);
            for (int q = (int) ((long) row * queries / rows); q < end; q++) {
                float[] logits = source.of(q);
                for (int k = 0; k < keys; k++) {
                    if (logits[k] != Float.NEGATIVE_INFINITY) {
                        int column = (int) ((long) k * columns / keys);
                        sums[column] += logits[k];
                        counts[column]++;
                    }
                }
            }
            for (int column = 0; column < columns; column++) {
                values[row * columns + column] =
                        counts[column] == 0 ? Float.NaN : (float) (sums[column] / counts[column]);
            }
        }
        return new TokenMatrix(queries, keys, rows, columns, values);
    }
}
