package capture.figures;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Round numbers for axes: multiples of 1, 2 or 5 times a power of ten. */
final class RoundTicks {
    /** How much closer than asked for ticks may be: otherwise there would often be less than half as many. */
    private static final double CLOSE = 0.7;

    private RoundTicks() {}

    /**
     * The multiples within a range, in ascending order.
     *
     * @param most about how many
     */
    static List<Double> within(double low, double high, int most) {
        double raw = (high - low) / most;
        double step = Math.pow(10, Math.floor(Math.log10(raw)));
        for (double factor : new double[] {1, 2, 5, 10}) {
            if (step * factor >= raw * CLOSE) {
                step *= factor;
                break;
            }
        }
        List<Double> ticks = new ArrayList<>();
        for (double i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
            ticks.add(i == 0 ? 0.0 : i * step);
        }
        return ticks;
    }

    /** As short as round numbers allow, with the sign that matches the digits. */
    static String label(double tick) {
        double size = Math.abs(tick);
        String text = size != 0 && (size < 0.001 || size >= 1e6)
                ? String.format(Locale.ROOT, "%.0e", tick)
                        .replaceFirst("e([+-])0*", "e$1")
                        .replace("e+", "e")
                : SvgFigure.number(tick);
        return text.replace("-", "\u2212");
    }
}
