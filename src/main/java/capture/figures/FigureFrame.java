package capture.figures;

/**
 * What all figures have in common.
 *
 * @param style colours and fonts
 * @param width in points
 * @param columns panels side by side; 0 for what fits
 * @param note a line below the title: where the numbers come from
 */
public record FigureFrame(Style style, double width, int columns, String note) {
    /** How many panels stand side by side. */
    int columns(int panels, int usual) {
        return Math.max(1, Math.min(panels, columns > 0 ? columns : usual));
    }

    /** The figure that a canvas has become. */
    Figure figure(double height, String title, Canvas canvas) {
        return new Figure(width, height, title + (note.isEmpty() ? "" : "; " + note), style, canvas.marks());
    }
}
