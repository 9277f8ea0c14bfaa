package wan.edit;

import java.util.HashMap;
import java.util.Map;
import wan.op.Grid;
import wan.op.Ops;

/** Rotary embedding on the host, in float64, as {@link Ops#rope} defines it. */
final class HostRotary {
    private final Grid frame;
    private final int headDim;
    private final int spatial;
    private final int temporal;
    /** By steps of an axis: cosine and sine of each pair of channels. */
    private final Map<Integer, double[]> times = new HashMap<>();

    private final Map<Integer, double[]> places = new HashMap<>();

    /**
     * Computes nothing yet.
     *
     * @param frame tokens of one frame
     * @param headDim channels of a head
     */
    HostRotary(Grid frame, int headDim) {
        this.frame = frame;
        this.headDim = headDim;
        spatial = headDim / 2 / 3;
        temporal = headDim / 2 - 2 * spatial;
    }

    Grid frame() {
        return frame;
    }

    int headDim() {
        return headDim;
    }

    /** Turns a token, all its heads, to a time position and to its place in the frame; {@link #move} has the others. */
    void turn(float[] from, int at, int time, int token, double[] out) {
        turn(from, at, time, token / frame.columns(), token % frame.columns(), out);
    }

    /** Turns a token by the way from one place and time position to another. */
    void move(float[] from, int at, int time, int token, int toTime, int toToken, double[] out) {
        int columns = frame.columns();
        turn(from, at, time - toTime, token / columns - toToken / columns, token % columns - toToken % columns, out);
    }

    /**
     * Turns all heads of a token.
     *
     * @param from [.., heads * headDim]
     * @param at where the token's channels begin
     * @param time frames; like rows and columns also backwards
     * @param out takes the turned channels, [heads * headDim]
     */
    private void turn(float[] from, int at, int time, int rows, int columns, double[] out) {
        turnAxis(from, at, 0, times.computeIfAbsent(time, steps -> angles(steps, temporal)), out);
        turnAxis(from, at, temporal, places.computeIfAbsent(rows, steps -> angles(steps, spatial)), out);
        turnAxis(from, at, temporal + spatial, places.computeIfAbsent(columns, steps -> angles(steps, spatial)), out);
    }

    private void turnAxis(float[] from, int at, int firstPair, double[] angles, double[] out) {
        for (int head = 0; head < out.length; head += headDim) {
            for (int pair = 0; pair < angles.length / 2; pair++) {
                int channel = head + 2 * (firstPair + pair);
                double re = from[at + channel];
                double im = from[at + channel + 1];
                out[channel] = re * angles[2 * pair] - im * angles[2 * pair + 1];
                out[channel + 1] = re * angles[2 * pair + 1] + im * angles[2 * pair];
            }
        }
    }

    private static double[] angles(int steps, int pairs) {
        double[] angles = new double[2 * pairs];
        for (int pair = 0; pair < pairs; pair++) {
            double angle = steps * Math.pow(10000, -(double) pair / pairs);
            angles[2 * pair] = Math.cos(angle);
            angles[2 * pair + 1] = Math.sin(angle);
        }
        return angles;
    }
}
