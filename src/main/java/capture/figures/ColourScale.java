package capture.figures;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Values to colours: matplotlib's RdBu_r (ColorBrewer's RdBu, blue below, red above), with 0 in the middle whatever the data. What
 * is never negative takes the red half only.
 *
 * @param limit value of the last colour; that of the first is -limit, or 0 if unsigned
 * @param signed whether values below 0 occur
 */
public record ColourScale(double limit, boolean signed) {
    /** Enough that no step is seen, few enough that cells of a colour share a path. */
    static final int LEVELS = 201;

    private static final int[] ANCHORS = {
        0x053061, 0x2166ac, 0x4393c3, 0x92c5de, 0xd1e5f0, 0xf7f7f7, 0xfddbc7, 0xf4a582, 0xd6604d, 0xb2182b, 0x67001f
    };

    /** Of what should be a number and is none: no colour of the scale. */
    static final String NOT_FINITE = "#00a000";

    /** A scale for some values; those that are not finite are left out. */
    public static ColourScale of(boolean signed, double... values) {
        double limit = 0;
        for (double value : values) {
            limit = Math.max(limit, Double.isFinite(value) ? Math.abs(value) : 0);
        }
        return new ColourScale(limit > 0 ? limit : 1, signed);
    }

    /** The lowest value of the scale. */
    public double low() {
        return signed ? -limit : 0;
    }

    /** The colour of a value; null for NaN, which stands for no value. */
    public @Nullable String colour(double value) {
        if (Double.isNaN(value)) {
            return null;
        }
        if (Double.isInfinite(value)) {
            return NOT_FINITE;
        }
        double at = Math.clamp(value / limit, signed ? -1.0 : 0.0, 1.0) / 2 + 0.5;
        double level = Math.rint(at * (LEVELS - 1)) / (LEVELS - 1) * (ANCHORS.length - 1);
        int below = Math.min((int) level, ANCHORS.length - 2);
        double share = level - below;
        int colour = 0;
        for (int shift = 16; shift >= 0; shift -= 8) {
            int a = ANCHORS[below] >> shift & 0xff;
            int b = ANCHORS[below + 1] >> shift & 0xff;
            colour |= (int) Math.round(a + share * (b - a)) << shift;
        }
        return String.format(Locale.ROOT, "#%06x", colour);
    }
}
