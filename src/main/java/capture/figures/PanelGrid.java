package capture.figures;

/**
 * Equal panels side by side and below each other.
 *
 * @param x of the first panel's data
 * @param y of the first panel's data
 * @param columns panels in a row
 * @param count panels
 * @param width of a panel's data
 * @param height of a panel's data
 * @param gapX between panels
 * @param gapY between panels
 */
record PanelGrid(double x, double y, int columns, int count, double width, double height, double gapX, double gapY) {
    int rows() {
        return (count + columns - 1) / columns;
    }

    double left(int panel) {
        return x + panel % columns * (width + gapX);
    }

    double top(int panel) {
        return y + Math.floorDiv(panel, columns) * (height + gapY);
    }

    double right() {
        return x + columns * width + (columns - 1) * gapX;
    }

    double bottom() {
        return y + rows() * height + (rows() - 1) * gapY;
    }

    boolean isLeftmost(int panel) {
        return panel % columns == 0;
    }

    /** Whether no panel lies below. */
    boolean isLowest(int panel) {
        return panel + columns >= count;
    }
}
