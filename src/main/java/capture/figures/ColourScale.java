package capture.figures;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Values to colours. A diverging map has 0 in its middle whatever the limits; limits that are not symmetric show a part of it.
 *
 * @param map its colours
 * @param logarithmic whether equal ratios, rather than equal differences, are equal steps of colour
 * @param low value at the lower end of the colour bar; what is below has its colour
 * @param high value at the upper end; above low
 */
public record ColourScale(ColourMap map, boolean logarithmic, double low, double high) {
    /** Of what should be a number and is none: no colour of the maps. */
    static final String NOT_FINITE = "#00a000";

    /** The usual scale for some values; those that are not finite are left out. */
    public static ColourScale of(boolean signed, double... values) {
        return ScaleChoice.USUAL.scale(signed, values);
    }

    /** The largest magnitude that has a colour of its own. */
    public double limit() {
        return Math.max(Math.abs(low), Math.abs(high));
    }

    /** The colour of a value; null for NaN, which stands for no value. */
    public @Nullable String colour(double value) {
        if (Double.isNaN(value)) {
            return null;
        }
        if (Double.isInfinite(value)) {
            return NOT_FINITE;
        }
        double inside = Math.clamp(value, low, high);
        return map.colour(map.diverging() ? 0.5 + inside / limit() / 2 : position(inside));
    }

    /** Where a value within the limits stands on the colour bar: 0 at its lower end, 1 at its upper end. */
    double position(double value) {
        return logarithmic
                ? (Math.log(value) - Math.log(low)) / (Math.log(high) - Math.log(low))
                : (value - low) / (high - low);
    }

    /** The value at a place of the colour bar, the inverse of {@link #position}. */
    double at(double position) {
        return logarithmic
                ? Math.exp(Math.log(low) + position * (Math.log(high) - Math.log(low)))
                : low + position * (high - low);
    }

    /**
     * Round values for the ticks of a colour bar.
     *
     * @param most how many at most
     */
    List<Double> ticks(int most) {
        return logarithmic ? decades(most) : RoundTicks.within(low, high, most);
    }

    /** Powers of ten; of a range under two decades 1, 2 and 5 times them. */
    private List<Double> decades(int most) {
        List<Double> ticks = new ArrayList<>();
        int first = (int) Math.floor(Math.log10(low));
        int last = (int) Math.floor(Math.log10(high));
        int step = Math.ceilDiv(last - first, Math.max(1, most - 1));
        boolean few = last - first < 2;
        for (int exponent = first; exponent <= last; exponent += Math.max(1, step)) {
            for (int digit : few ? new int[] {1, 2, 5} : new int[] {1}) {
                double tick = digit * Math.pow(10, exponent);
                if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) {
                    ticks.add(tick);
                }
            }
        }
        return ticks;
    }
}
