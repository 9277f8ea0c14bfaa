package wan.edit;

import wan.op.Grid;
import wan.op.Ops;

/**
 * Rotary embedding on the host, in float64, as {@link Ops#rope} defines it.
 *
 * @param frame tokens of one frame
 * @param headDim channels of a head
 */
record HostRotary(Grid frame, int headDim) {
    /**
     * The angles of one turn.
     *
     * @param time frames; like rows and columns also backwards
     * @return of each pair of channels
     */
    double[] angles(int time, int rows, int columns) {
        int pairs = headDim / 2;
        int spatial = pairs / 3;
        int temporal = pairs - 2 * spatial;
        double[] angles = new double[pairs];
        for (int pair = 0; pair < pairs; pair++) {
            int axis = pair < temporal ? 0 : pair < temporal + spatial ? 1 : 2;
            int length = axis == 0 ? temporal : spatial;
            int index = pair - (axis == 0 ? 0 : axis == 1 ? temporal : temporal + spatial);
            int steps = axis == 0 ? time : axis == 1 ? rows : columns;
            angles[pair] = steps * Math.pow(10000, -(double) index / length);
        }
        return angles;
    }

    /** The angles of a token at a time position. */
    double[] anglesOf(int time, int token) {
        return angles(time, token / frame.columns(), token % frame.columns());
    }

    /** The angles of the way from one token at a time position to another. */
    double[] anglesBetween(int time, int token, int toTime, int toToken) {
        int columns = frame.columns();
        return angles(time - toTime, token / columns - toToken / columns, token % columns - toToken % columns);
    }

    /**
     * Turns all heads of a token.
     *
     * @param from [.., heads * headDim]
     * @param at where the token's channels begin
     * @param out takes the turned channels
     */
    void turn(float[] from, int at, double[] angles, double[] out) {
        for (int pair = 0; pair < angles.length; pair++) {
            double cos = Math.cos(angles[pair]);
            double sin = Math.sin(angles[pair]);
            for (int channel = 2 * pair; channel < out.length; channel += headDim) {
                double re = from[at + channel];
                double im = from[at + channel + 1];
                out[channel] = re * cos - im * sin;
                out[channel + 1] = re * sin + im * cos;
            }
        }
    }
}
