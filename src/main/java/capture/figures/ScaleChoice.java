package capture.figures;

import java.util.Arrays;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.DoubleStream;
import org.jspecify.annotations.Nullable;
import wan.op.UsageException;

/**
 * How the colours of a figure are spread over its values.
 *
 * @param norm what equal steps of colour are
 * @param limits ends of the colour bar, or null for those of the values
 * @param map null for the usual one
 */
public record ScaleChoice(
        Norm norm, @Nullable Limits limits, @Nullable ColourMap map) {
    /** Signed values are symmetric around 0, others linear; limits are those of the values. */
    public static final ScaleChoice USUAL = new ScaleChoice(Norm.USUAL, null, null);

    /** Linear from 0 to the largest value, for sizes of effects, which can be compared only from 0 on. */
    public static ScaleChoice fromZero(DoubleStream values) {
        double most = values.filter(Double::isFinite).max().orElse(0);
        return new ScaleChoice(Norm.LINEAR, new Limits(0, most > 0 ? most : 1, false), null);
    }

    /** Powers of ten that a logarithmic scale spans at most, unless its limits are given. */
    private static final double MOST_DECADES = 6;

    /** What equal steps of colour are. */
    public enum Norm {
        /** Symmetric for signed values, linear for others. */
        USUAL,
        /** Equal differences. */
        LINEAR,
        /** Equal ratios. */
        LOG,
        /** Equal differences, with 0 in the middle. */
        SYMMETRIC;

        /**
         * A norm by its name.
         *
         * @throws UsageException if there is none
         */
        public static Norm parse(String name) {
            return switch (name.toLowerCase(Locale.ROOT)) {
                case "linear" -> LINEAR;
                case "log" -> LOG;
                case "symmetric" -> SYMMETRIC;
                default -> throw new UsageException("figure.scale: expected linear, log or symmetric, got " + name);
            };
        }
    }

    /**
     * The ends of the colour bar.
     *
     * @param low a value, or a percentile of the values
     * @param high likewise
     * @param percentiles which of the two they are
     */
    public record Limits(double low, double high, boolean percentiles) {
        private static final Pattern FORM = Pattern.compile("\\s*([-+.\\deE]+)(%?)\\s*,\\s*([-+.\\deE]+)(%?)\\s*");

        /**
         * Reads {@code -2,2} or, for percentiles, {@code 2%,98%}.
         *
         * @throws UsageException if it is neither
         */
        public static Limits parse(String text) {
            Matcher matcher = FORM.matcher(text);
            if (matcher.matches() && matcher.group(2).equals(matcher.group(4))) {
                try {
                    Limits limits = new Limits(
                            Double.parseDouble(matcher.group(1)),
                            Double.parseDouble(matcher.group(3)),
                            !matcher.group(2).isEmpty());
                    boolean inRange = !limits.percentiles || (limits.low >= 0 && limits.high <= 100);
                    if (limits.low < limits.high && inRange) {
                        return limits;
                    }
                } catch (NumberFormatException _) {
                    // said below
                }
            }
            throw new UsageException(
                    "figure.limits: expected two values such as -2,2 or percentiles such as 2%,98%, the"
                            + " lower one first, got " + text);
        }
    }

    /**
     * The scale for some values.
     *
     * <p>Without limits a scale of signed values ends at their largest magnitude on both sides. One of values that are never negative
     * begins at 0, or, where all of them lie in the upper half of that range, at the smallest, since they would all look the same
     * otherwise.
     *
     * @param signed whether the values may be negative
     * @param values what is shown; what is not finite is left out
     * @throws UsageException if the values have no logarithm
     */
    public ColourScale scale(boolean signed, double... values) {
        double[] finite = Arrays.stream(values).filter(Double::isFinite).toArray();
        Norm wanted = norm == Norm.USUAL ? (signed ? Norm.SYMMETRIC : Norm.LINEAR) : norm;
        if (wanted == Norm.LOG) {
            return logarithmic(signed, finite);
        }
        boolean centred = wanted == Norm.SYMMETRIC;
        ColourMap colours = map != null ? map : signed || centred ? ColourMap.RDBU_R : ColourMap.REDS;
        double low;
        double high;
        if (limits != null) {
            double[] ends = ends(limits, finite);
            low = ends[0];
            high = ends[1];
        } else {
            low = Arrays.stream(finite).min().orElse(0);
            high = Arrays.stream(finite).max().orElse(1);
            if (!signed && low >= 0 && low <= high / 2) {
                low = 0;
            }
        }
        if (centred && (limits == null || limits.percentiles)) {
            high = Math.max(Math.abs(low), Math.abs(high));
            low = -high;
        }
        if (!(high > low)) { // all the same, or none: a range around them
            high = low == 0 ? 1 : low + Math.abs(low);
            low = centred ? -high : low;
        }
        return new ColourScale(colours, false, low, high);
    }

    private ColourScale logarithmic(boolean signed, double[] finite) {
        if (signed) {
            throw new UsageException(
                    "figure.scale: log: expected values that are never negative, such as frame mass, got signed ones");
        }
        double[] positive = DoubleStream.of(finite).filter(value -> value > 0).toArray();
        double[] ends = limits == null ? new double[] {0, 0} : ends(limits, positive);
        double high = limits == null ? Arrays.stream(positive).max().orElse(1) : ends[1];
        double least = Math.max(Arrays.stream(positive).min().orElse(high / 10), high * Math.pow(10, -MOST_DECADES));
        double low = limits == null ? least : ends[0];
        if (!(low > 0)) {
            throw new UsageException("figure.limits: expected limits above 0 for a log scale, got " + low);
        }
        return new ColourScale(map != null ? map : ColourMap.REDS, true, low < high ? low : high / 10, high);
    }

    private static double[] ends(Limits limits, double[] finite) {
        if (!limits.percentiles) {
            return new double[] {limits.low, limits.high};
        }
        double[] sorted = finite.clone();
        Arrays.sort(sorted);
        return new double[] {percentile(sorted, limits.low), percentile(sorted, limits.high)};
    }

    /** Between neighbours in proportion, as NumPy's percentile does it. */
    private static double percentile(double[] sorted, double percent) {
        if (sorted.length == 0) {
            return percent / 100;
        }
        double place = percent / 100 * (sorted.length - 1);
        int below = (int) place;
        int above = Math.min(below + 1, sorted.length - 1);
        return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
    }
}
