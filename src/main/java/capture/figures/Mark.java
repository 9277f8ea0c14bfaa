package capture.figures;

import java.awt.image.BufferedImage;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a figure consists of. Lengths are points (1/72 inch), y grows downwards, colours are {@code #rrggbb}. */
public sealed interface Mark {
    /** Where a text's x stands. */
    enum Anchor {
        /** At its beginning. */
        START,
        /** In its middle. */
        MIDDLE,
        /** At its end. */
        END
    }

    /**
     * Marks that belong together.
     *
     * @param id unique within the figure; letters, digits, dashes
     */
    record Group(String id, List<Mark> marks) implements Mark {
        /** Copies the list. */
        public Group {
            marks = List.copyOf(marks);
        }
    }

    /**
     * A rectangle.
     *
     * @param fill null for none
     * @param stroke null for none
     */
    record Rect(
            double x,
            double y,
            double width,
            double height,
            @Nullable String fill,
            @Nullable String stroke,
            double strokeWidth)
            implements Mark {}

    /** A rectangle of diagonal lines: what is masked. */
    record Hatch(double x, double y, double width, double height) implements Mark {}

    /**
     * Coloured cells without gaps, row by row from the top.
     *
     * @param columns cells in a row
     * @param colours one for each cell; null leaves it out
     */
    record Cells(double x, double y, double cellWidth, double cellHeight, int columns, List<@Nullable String> colours)
            implements Mark {}

    /**
     * A picture, stretched to the rectangle.
     *
     * @param exact whether every pixel is a value and keeps its colour and edges; otherwise a photograph
     */
    record Picture(double x, double y, double width, double height, BufferedImage image, boolean exact)
            implements Mark {}

    /**
     * Straight lines from point to point.
     *
     * @param points x and y in turn
     * @param dash length of dashes, 0 for none
     */
    record Line(List<Double> points, String stroke, double width, double dash) implements Mark {
        /** Copies the list. */
        public Line {
            points = List.copyOf(points);
        }

        /** A straight line. */
        static Line of(double x1, double y1, double x2, double y2, String stroke, double width) {
            return new Line(List.of(x1, y1, x2, y2), stroke, width, 0);
        }
    }

    /**
     * A filled area without outline.
     *
     * @param points x and y of its corners in turn
     * @param opacity from 0 to 1
     */
    record Area(List<Double> points, String fill, double opacity) implements Mark {
        /** Copies the list. */
        public Area {
            points = List.copyOf(points);
        }
    }

    /** A filled circle. */
    record Dot(double x, double y, double radius, String fill) implements Mark {}

    /**
     * One line of text.
     *
     * @param y of the baseline
     * @param size of the font
     * @param upwards turned by 90 degrees against the clock around (x, y)
     */
    record Text(double x, double y, String text, double size, Anchor anchor, boolean bold, boolean upwards, String fill)
            implements Mark {}
}
