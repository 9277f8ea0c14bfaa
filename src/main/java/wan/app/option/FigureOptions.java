package wan.app.option;

import capture.figures.ColourMap;
import capture.figures.FigureFile;
import capture.figures.FigureFrame;
import capture.figures.ScaleChoice;
import capture.figures.Style;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.op.UsageException;

/** How a figure looks. */
public final class FigureOptions {
    private static final double POINTS_PER_MM = 72 / 25.4;
    private static final double LEAST_MM = 50;
    private static final double MOST_MM = 1200;

    @Option(names = "--style", paramLabel = "STYLE", description = "light or print (default: ${DEFAULT-VALUE}).")
    private String style = "light";

    @Option(
            names = "--width-mm",
            paramLabel = "MM",
            description = "Width of the figure in millimetres; one column of a paper is about 84 wide (default:"
                    + " ${DEFAULT-VALUE}).")
    private double widthMm = 178;

    @Option(names = "--columns", paramLabel = "N", description = "Panels side by side (default: what fits).")
    private int columns;

    @Option(names = "--dpi", paramLabel = "N", description = "Pixels per inch of a .png (default: ${DEFAULT-VALUE}).")
    private int dpi = FigureFile.DPI;

    @Option(
            names = "--title",
            paramLabel = "TEXT",
            description = "Replaces the title and the line below it; \"\" removes both.")
    private @Nullable String title;

    @Option(
            names = "--limits",
            paramLabel = "LOW,HIGH",
            description = "Ends of the colour scale: values such as -2,2, or percentiles such as 2%%,98%% (default:"
                    + " from the values). Values outside get the colour of the end.")
    private @Nullable String limits;

    @Option(
            names = "--scale",
            paramLabel = "SCALE",
            description = "Colour scale: linear, log, or symmetric around 0 (default: symmetric for logits and"
                    + " differences, linear for values that are never negative).")
    private @Nullable String scale;

    @Option(
            names = {"--colour-map", "--cmap"},
            paramLabel = "NAME",
            description = "Colour map: RdBu_r or PuOr_r (diverging, 0 in the middle), Reds, viridis, magma or Greys"
                    + " (default: RdBu_r; Reds for values that are never negative).")
    private @Nullable String colourMap;

    /**
     * What the figure has in common with all others.
     *
     * @param note where its numbers come from
     */
    public FigureFrame frame(String note) {
        if (!(widthMm >= LEAST_MM && widthMm <= MOST_MM)) {
            throw new UsageException("--width-mm: expected 50 to 1200, got " + widthMm);
        }
        if (columns < 0) {
            throw new UsageException("--columns: expected 0 or more, got " + columns);
        }
        ScaleChoice colours = new ScaleChoice(
                scale == null ? ScaleChoice.Norm.USUAL : ScaleChoice.Norm.parse(scale),
                limits == null ? null : ScaleChoice.Limits.parse(limits),
                colourMap == null ? null : ColourMap.parse(colourMap));
        return new FigureFrame(Style.parse(style), widthMm * POINTS_PER_MM, columns, note, title, colours);
    }

    public int dpi() {
        return dpi;
    }
}
