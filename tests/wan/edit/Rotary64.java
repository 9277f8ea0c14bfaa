package wan.edit;

import wan.op.Grid;

/** Rotary embedding in float64, written apart from what it judges. */
final class Rotary64 {
    private Rotary64() {}

    /**
     * Turns the queries or keys of one frame and head.
     *
     * @param frame [tokens, channels]
     * @param grid of the frame's tokens
     * @param position of the frame in time
     */
    static double[][] turn(double[][] frame, Grid grid, int position) {
        int pairs = frame[0].length / 2;
        int third = pairs / 3;
        int first = pairs - 2 * third;
        double[][] out = new double[frame.length][2 * pairs];
        for (int token = 0; token < frame.length; token++) {
            for (int pair = 0; pair < pairs; pair++) {
                int axis = pair < first ? 0 : pair < first + third ? 1 : 2;
                int at = axis == 0 ? position : axis == 1 ? token / grid.columns() : token % grid.columns();
                int j = pair - (axis == 0 ? 0 : axis == 1 ? first : first + third);
                double angle = at * Math.pow(10000, -(double) j / (axis == 0 ? first : third));
                double re = frame[token][2 * pair];
                double im = frame[token][2 * pair + 1];
                out[token][2 * pair] = re * Math.cos(angle) - im * Math.sin(angle);
                out[token][2 * pair + 1] = re * Math.sin(angle) + im * Math.cos(angle);
            }
        }
        return out;
    }
}
