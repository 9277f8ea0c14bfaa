package capture.figures;

import java.util.List;

/**
 * A picture, not yet written in any format.
 *
 * @param width in points
 * @param height in points
 * @param title what it shows, for readers who cannot see it
 * @param style colours and fonts
 * @param marks from back to front
 */
public record Figure(double width, double height, String title, Style style, List<Mark> marks) {
    /** Copies the list. */
    public Figure {
        marks = List.copyOf(marks);
    }
}
