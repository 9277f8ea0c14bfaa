package capture.figures;

import capture.analysis.CapturedPass;
import capture.analysis.HeadId;
import capture.analysis.TokenMatrix;
import java.awt.image.BufferedImage;
import java.util.List;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import wan.op.Quantity;

/** Figures of single tokens: of the video, on their frames' grids or as one matrix, and of the prompt. */
public final class TokenFigures {
    /** Rows and columns of a matrix's picture: what a page shows. */
    public static final int MOST_PIXELS = 1200;

    /** A token's label is cut beyond that, in characters. */
    private static final int LONGEST_LABEL = 14;

    private TokenFigures() {}

    /**
     * One head's key tokens: each attended frame as its grid of tokens, averaged over the query frames.
     *
     * @param keyFrames absolute numbers of the panels' frames
     * @param values [K, rows, cols]
     */
    public static Figure tokens(
            FigureFrame frame, HeadId head, List<Integer> keyFrames, int rows, int cols, double[] values) {
        ColourScale scale = frame.colours().scale(true, values);
        Canvas canvas = new Canvas(frame.style());
        double top = canvas.title(frame, HeatMapFigures.named(head) + ": logits of key tokens");
        double barWidth = canvas.colourBarWidth();
        int columns = frame.columns(keyFrames.size(), frame.width() > 300 ? 7 : 4);
        double panelWidth = (frame.width() - 8 - barWidth - 6.0 * (columns - 1)) / columns;
        double titleHeight = frame.style().tickSize() * 1.4;
        PanelGrid grid = new PanelGrid(
                4,
                top + titleHeight,
                columns,
                keyFrames.size(),
                panelWidth,
                panelWidth * rows / cols,
                6,
                titleHeight + 4);
        for (int p = 0; p < keyFrames.size(); p++) {
            int panel = p;
            canvas.group("frame-" + keyFrames.get(p), c -> {
                c.panelTitle(
                        grid.left(panel) + grid.width() / 2, grid.top(panel) - 2.5, "frame " + keyFrames.get(panel));
                // Images have their first row at the top, unlike matrices.
                c.heatMap(
                        grid.left(panel),
                        grid.top(panel),
                        grid.width(),
                        grid.height(),
                        rows,
                        cols,
                        scale,
                        (row, col) -> values[(panel * rows + rows - 1 - row) * cols + col]);
            });
        }
        double barHeight = Math.clamp(grid.bottom() - grid.y(), 60, 160);
        canvas.colourBar(grid.right() + 8, grid.y(), barHeight, scale, HeatMapFigures.title(Quantity.KEY_LOGITS), null);
        double height = Math.max(grid.bottom(), grid.y() + barHeight) + 6;
        return frame.figure(height, "Key tokens of " + head.label(), canvas);
    }

    /**
     * Maps of tokens over frames of the video, as a contact sheet.
     *
     * @param title what the maps are of
     * @param what the values are, for the colour bar
     * @param numbers latent frames, for the panels' titles
     * @param pictures of each of them
     * @param values [frames, rows, cols]
     */
    public static Figure overlays(
            FigureFrame frame,
            String title,
            String what,
            List<Integer> numbers,
            List<BufferedImage> pictures,
            int rows,
            int cols,
            double[] values) {
        ColourScale scale = frame.colours().scale(true, values);
        Canvas canvas = new Canvas(frame.style());
        double top = canvas.title(frame, title);
        double barWidth = canvas.colourBarWidth();
        int columns = frame.columns(numbers.size(), frame.width() > 300 ? 4 : 2);
        double panelWidth = (frame.width() - 8 - barWidth - 6.0 * (columns - 1)) / columns;
        double titleHeight = frame.style().tickSize() * 1.4;
        BufferedImage first = pictures.getFirst();
        PanelGrid grid = new PanelGrid(
                4,
                top + titleHeight,
                columns,
                numbers.size(),
                panelWidth,
                panelWidth * first.getHeight() / first.getWidth(),
                6,
                titleHeight + 4);
        for (int p = 0; p < numbers.size(); p++) {
            int panel = p;
            BufferedImage picture = Pictures.overlay(pictures.get(p), rows, cols, values, panel * rows * cols, scale);
            canvas.group("frame-" + numbers.get(p), c -> {
                double x = grid.left(panel);
                double y = grid.top(panel);
                c.panelTitle(x + grid.width() / 2, y - 2.5, "frame " + numbers.get(panel));
                c.add(new Mark.Picture(x, y, grid.width(), grid.height(), picture, false));
                c.add(new Mark.Rect(
                        x, y, grid.width(), grid.height(), null, c.style().rule(), 0.5));
            });
        }
        double barHeight = Math.clamp(grid.bottom() - grid.y(), 60, 160);
        canvas.colourBar(grid.right() + 8, grid.y(), barHeight, scale, what, null);
        double height = Math.max(grid.bottom(), grid.y() + barHeight) + 6;
        return frame.figure(height, title, canvas);
    }

    /**
     * One head's logits, query token by key token, with lines between frames.
     *
     * @param matrix as large as {@link #MOST_PIXELS} at most
     */
    public static Figure matrix(FigureFrame frame, HeadId head, CapturedPass pass, TokenMatrix matrix) {
        Style style = frame.style();
        double[] values = IntStream.range(0, matrix.values().length)
                .mapToDouble(i -> matrix.values()[i])
                .toArray();
        ColourScale scale = frame.colours().scale(true, values);
        Canvas canvas = new Canvas(style);
        String title = HeatMapFigures.named(head) + ": query token by key token, " + pass.id();
        double top = canvas.title(frame, title) + 3;
        double left = style.textSize() + 6 + canvas.textWidth("000", style.tickSize()) + 4;
        double width = frame.width() - left - canvas.colourBarWidth() - 4;
        double height = Math.clamp(width * matrix.queries() / matrix.keys(), 80, width);
        canvas.group("matrix", c -> {
            c.add(new Mark.Picture(left, top, width, height, picture(matrix, scale, style), true));
            List<Integer> keyFrames = pass.keyFrames();
            for (int k = 1; k < keyFrames.size(); k++) {
                double x = left + k * width / keyFrames.size();
                c.line(x, top, x, top + height, style.rule(), 0.4);
            }
            for (int k : c.frameTicks(keyFrames.size(), width)) {
                double x = left + (k + 0.5) * width / keyFrames.size();
                c.tick(x, top + height + 3 + style.tickSize(), String.valueOf(keyFrames.get(k)), Mark.Anchor.MIDDLE);
            }
            for (int q = 0; q < pass.frames(); q++) {
                double y = top + height - q * height / pass.frames();
                c.line(left, y, left + width, y, style.rule(), 0.4);
            }
            for (int q : c.frameTicks(pass.frames(), height)) {
                double y = top + height - (q + 0.5) * height / pass.frames();
                String name = String.valueOf(pass.firstFrame() + q);
                c.tick(left - 3.5, y + style.tickSize() * 0.35, name, Mark.Anchor.END);
            }
            c.add(new Mark.Rect(left, top, width, height, null, style.rule(), 0.5));
        });
        double axisY = top + height + 3 + style.tickSize() + style.textSize() + 2;
        canvas.label(left + width / 2, axisY, "key token, by frame", Mark.Anchor.MIDDLE);
        canvas.labelUpwards(style.textSize() + 1, top + height / 2, "query token, by frame");
        boolean hidden = DoubleStream.of(values).anyMatch(Double::isNaN);
        canvas.colourBar(
                left + width + 8,
                top,
                Math.clamp(height, 70, 200),
                scale,
                "logit (pre-softmax)",
                hidden ? "masked" : null);
        return frame.figure(Math.max(axisY, top + 70) + 5, title, canvas);
    }

    /** First query at the bottom, as in all matrices; what is hidden is hatched. */
    private static BufferedImage picture(TokenMatrix matrix, ColourScale scale, Style style) {
        BufferedImage image = new BufferedImage(matrix.columns(), matrix.rows(), BufferedImage.TYPE_INT_RGB);
        for (int row = 0; row < matrix.rows(); row++) {
            for (int column = 0; column < matrix.columns(); column++) {
                String colour = scale.colour(matrix.values()[row * matrix.columns() + column]);
                String hatched = (row + column) % 8 < 2 ? style.hatch() : style.background();
                image.setRGB(column, matrix.rows() - 1 - row, Integer.decode(colour == null ? hatched : colour));
            }
        }
        return image;
    }

    /**
     * What cross-attention makes of each token of the prompt.
     *
     * @param title what the figure shows
     * @param valueTitle what the values are
     * @param rowTitle what the rows are
     * @param rows their names, first at the bottom
     * @param tokens of the prompt, then a name for all padding, or none; column by column
     * @param signed whether values may be negative
     * @param values [rows, tokens]
     */
    public static Figure prompt(
            FigureFrame frame,
            String title,
            String valueTitle,
            String rowTitle,
            List<Integer> rows,
            List<String> tokens,
            boolean signed,
            double[] values) {
        Style style = frame.style();
        ColourScale scale = frame.colours().scale(signed, values);
        Canvas canvas = new Canvas(style);
        double top = canvas.title(frame, title) + 3;
        double left = style.textSize() + 6 + canvas.textWidth("00", style.tickSize()) + 4;
        double width = frame.width() - left - canvas.colourBarWidth() - 4;
        double cell = width / tokens.size();
        double cellHeight = Math.clamp(cell, style.tickSize() * 1.3, 16);
        double height = Math.max(50, cellHeight * rows.size());
        // Labels stand upright; where columns are narrower than a letter is high only some have one.
        int each = Math.max(1, (int) Math.ceil(style.tickSize() * 1.05 / cell));
        double labels = 0;
        for (int t = 0; t < tokens.size(); t += each) {
            labels = Math.max(labels, canvas.textWidth(shortened(tokens.get(t)), style.tickSize()));
        }
        canvas.group("matrix", c -> {
            c.heatMap(
                    left,
                    top,
                    width,
                    height,
                    rows.size(),
                    tokens.size(),
                    scale,
                    (row, token) -> values[row * tokens.size() + token]);
            for (int t = 0; t < tokens.size(); t += each) {
                double x = left + (t + 0.5) * cell + style.tickSize() * 0.35;
                c.tickUpwards(x, top + height + 4, shortened(tokens.get(t)));
            }
            for (int row : c.frameTicks(rows.size(), height)) {
                double y = top + height - (row + 0.5) * height / rows.size();
                c.tick(left - 3.5, y + style.tickSize() * 0.35, String.valueOf(rows.get(row)), Mark.Anchor.END);
            }
        });
        double axisY = top + height + 6 + labels + style.textSize();
        canvas.label(left + width / 2, axisY, "token of the prompt", Mark.Anchor.MIDDLE);
        canvas.labelUpwards(style.textSize() + 1, top + height / 2, rowTitle);
        double barHeight = Math.clamp(height + labels, 70, 200);
        canvas.colourBar(left + width + 8, top, barHeight, scale, valueTitle, null);
        return frame.figure(Math.max(axisY, top + barHeight) + 5, title, canvas);
    }

    /** Without the mark that SentencePiece puts before a word. */
    private static String shortened(String piece) {
        String token = piece.length() > 1 && piece.startsWith("\u2581") ? piece.substring(1) : piece;
        return token.length() <= LONGEST_LABEL ? token : token.substring(0, LONGEST_LABEL - 1) + "\u2026";
    }
}
