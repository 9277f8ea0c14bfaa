package capture.figures;

import java.util.List;
import java.util.Locale;
import wan.op.UsageException;

/**
 * How figures look.
 *
 * @param background of the whole
 * @param ink titles and ticks
 * @param muted axis titles and notes
 * @param rule axes and frames
 * @param grid lines behind data
 * @param hatch lines over what is masked
 * @param series colours that are told apart by colour-blind readers too (Okabe and Ito 2008)
 * @param dashed whether series differ in their dashes as well, for prints without colour
 * @param titleSize points
 * @param textSize points
 * @param tickSize points
 * @param line width of lines, points
 */
public record Style(
        String background,
        String ink,
        String muted,
        String rule,
        String grid,
        String hatch,
        List<String> series,
        boolean dashed,
        double titleSize,
        double textSize,
        double tickSize,
        double line) {
    /** For SVG; the first one that is there is taken. */
    static final String FONTS = "Arial, 'DejaVu Sans', Helvetica, sans-serif";

    private static final List<String> SERIES =
            List.of("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5c00", "#6a3d9a");

    /** For screens. */
    public static final Style LIGHT =
            new Style("#ffffff", "#1f2933", "#52606d", "#9aa5b1", "#e4e7eb", "#b8c2cc", SERIES, false, 9.5, 8, 7, 1.1);

    /** For paper: black ink, thin lines, smaller text. */
    public static final Style PRINT =
            new Style("#ffffff", "#000000", "#000000", "#000000", "#dddddd", "#8c8c8c", SERIES, true, 8, 7, 6, 0.7);

    /**
     * A style by its name.
     *
     * @throws UsageException if there is none
     */
    public static Style parse(String name) {
        return switch (name.toLowerCase(Locale.ROOT)) {
            case "light" -> LIGHT;
            case "print" -> PRINT;
            default -> throw new UsageException("figure.style: expected light or print, got " + name);
        };
    }

    /** Colour of a series. */
    String series(int index) {
        return series.get(index % series.size());
    }

    /** Dashes of a series; 0 for none. */
    double dash(int index) {
        return dashed || index >= series.size() ? (index / (dashed ? 1 : series.size()) % 3) * 2 : 0;
    }
}
