package capture.figures;

import org.jspecify.annotations.Nullable;

/**
 * What all figures have in common.
 *
 * @param style colours and fonts
 * @param width in points
 * @param columns panels side by side; 0 for what fits
 * @param note a line below the title: where the numbers come from
 * @param title in place of the figure's own title and note; empty for none; null for its own
 * @param colours how colours are spread over the values
 */
public record FigureFrame(
        Style style,
        double width,
        int columns,
        String note,
        @Nullable String title,
        ScaleChoice colours) {
    /** A frame with the usual title and colours. */
    public FigureFrame(Style style, double width, int columns, String note) {
        this(style, width, columns, note, null, ScaleChoice.USUAL);
    }

    /** This frame with another choice of colours. */
    public FigureFrame with(ScaleChoice other) {
        return new FigureFrame(style, width, columns, note, title, other);
    }

    /** How many panels stand side by side. */
    int columns(int panels, int usual) {
        return Math.max(1, Math.min(panels, columns > 0 ? columns : usual));
    }

    /** The figure that a canvas has become. */
    Figure figure(double height, String itsTitle, Canvas canvas) {
        return new Figure(width, height, itsTitle + (note.isEmpty() ? "" : "; " + note), style, canvas.marks());
    }
}
