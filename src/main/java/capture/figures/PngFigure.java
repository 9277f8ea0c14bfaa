package capture.figures;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.Shape;
import java.awt.geom.AffineTransform;
import java.awt.geom.Ellipse2D;
import java.awt.geom.Line2D;
import java.awt.geom.Path2D;
import java.awt.geom.Rectangle2D;
import java.awt.image.BufferedImage;
import java.awt.image.DataBufferInt;
import java.util.List;
import java.util.Locale;
import wan.op.UsageException;
import wan.op.WanException;

/** Figures as PNG, drawn without a display. */
public final class PngFigure {
    private static final double POINTS_PER_INCH = 72;
    private static final long MOST_PIXELS = 200_000_000;

    private final Graphics2D graphics;
    private final Style style;
    private final double scale;

    private PngFigure(Graphics2D graphics, Style style, double scale) {
        this.graphics = graphics;
        this.style = style;
        this.scale = scale;
    }

    /**
     * The file's bytes.
     *
     * @param dpi pixels per inch; stands in the file as well
     * @throws UsageException if the picture would be too large
     * @throws WanException if this machine has no fonts
     */
    public static byte[] write(Figure figure, int dpi) {
        double scale = dpi / POINTS_PER_INCH;
        double width = Math.rint(figure.width() * scale);
        double height = Math.rint(figure.height() * scale);
        if (dpi < 20 || width * height > MOST_PIXELS) {
            throw new UsageException(String.format(
                    Locale.ROOT,
                    "figure.dpi: expected 20 or more, and a picture of at most %,d pixels, got %d dpi and %.0f x %.0f",
                    MOST_PIXELS,
                    dpi,
                    width,
                    height));
        }
        // Before any class of AWT is loaded: a DISPLAY that cannot be reached is no reason to fail.
        System.setProperty("java.awt.headless", "true");
        try {
            BufferedImage image = new BufferedImage((int) width, (int) height, BufferedImage.TYPE_INT_RGB);
            Graphics2D graphics = image.createGraphics();
            graphics.setColor(Color.decode(figure.style().background()));
            graphics.fillRect(0, 0, (int) width, (int) height);
            graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
            graphics.setRenderingHint(RenderingHints.KEY_STROKE_CONTROL, RenderingHints.VALUE_STROKE_PURE);
            graphics.setRenderingHint(RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
            graphics.setRenderingHint(RenderingHints.KEY_FRACTIONALMETRICS, RenderingHints.VALUE_FRACTIONALMETRICS_ON);
            graphics.scale(scale, scale);
            requireFonts(graphics);
            PngFigure drawing = new PngFigure(graphics, figure.style(), scale);
            figure.marks().forEach(drawing::draw);
            graphics.dispose();
            int[] pixels = ((DataBufferInt) image.getRaster().getDataBuffer()).getData();
            return PngFile.of(pixels, (int) width, (int) height, dpi);
        } catch (LinkageError | InternalError e) { // what AWT throws where its libraries are missing
            throw noFonts(e);
        }
    }

    /** Draws a letter. Without fonts Java throws what it likes, of any class. */
    private static void requireFonts(Graphics2D graphics) {
        try {
            new Font(Font.SANS_SERIF, Font.PLAIN, 1).getStringBounds("x", graphics.getFontRenderContext());
        } catch (RuntimeException | Error e) {
            throw noFonts(e);
        }
    }

    private static WanException noFonts(Throwable cause) {
        return new WanException(
                "PNG: this machine's Java cannot draw text; install fontconfig and a font (Debian: fontconfig"
                        + " fonts-dejavu-core), or write .svg",
                cause);
    }

    private void draw(Mark mark) {
        switch (mark) {
            case Mark.Group group -> group.marks().forEach(this::draw);
            case Mark.Rect rect -> {
                Shape shape = new Rectangle2D.Double(rect.x(), rect.y(), rect.width(), rect.height());
                if (rect.fill() != null) {
                    graphics.setColor(Color.decode(rect.fill()));
                    graphics.fill(shape);
                }
                if (rect.stroke() != null) {
                    graphics.setColor(Color.decode(rect.stroke()));
                    graphics.setStroke(new BasicStroke((float) rect.strokeWidth()));
                    graphics.draw(shape);
                }
            }
            case Mark.Hatch hatch -> draw(hatch);
            case Mark.Cells cells -> draw(cells);
            case Mark.Picture picture -> draw(picture);
            case Mark.Line line -> draw(line);
            case Mark.Area area -> {
                Color solid = Color.decode(area.fill());
                int alpha = (int) Math.round(area.opacity() * 255);
                graphics.setColor(new Color(solid.getRed(), solid.getGreen(), solid.getBlue(), alpha));
                Path2D outline = path(area.points());
                outline.closePath();
                graphics.fill(outline);
            }
            case Mark.Dot dot -> {
                graphics.setColor(Color.decode(dot.fill()));
                graphics.fill(new Ellipse2D.Double(
                        dot.x() - dot.radius(), dot.y() - dot.radius(), 2 * dot.radius(), 2 * dot.radius()));
            }
            case Mark.Text text -> draw(text);
        }
    }

    private void draw(Mark.Hatch hatch) {
        Shape clip = graphics.getClip();
        graphics.clip(new Rectangle2D.Double(hatch.x(), hatch.y(), hatch.width(), hatch.height()));
        graphics.setColor(Color.decode(style.hatch()));
        graphics.setStroke(new BasicStroke(0.5f));
        for (double x = hatch.x() - hatch.height(); x < hatch.x() + hatch.width(); x += 4) {
            graphics.draw(new Line2D.Double(x, hatch.y() + hatch.height(), x + hatch.height(), hatch.y()));
        }
        graphics.setClip(clip);
    }

    /** Edges fall on whole pixels, shared by neighbours: no seams and no smoothing. */
    private void draw(Mark.Cells cells) {
        for (int i = 0; i < cells.colours().size(); i++) {
            String colour = cells.colours().get(i);
            if (colour != null) {
                int column = i % cells.columns();
                int row = i / cells.columns();
                double left = snap(cells.x() + column * cells.cellWidth());
                double right = snap(cells.x() + (column + 1) * cells.cellWidth());
                double top = snap(cells.y() + row * cells.cellHeight());
                double bottom = snap(cells.y() + (row + 1) * cells.cellHeight());
                graphics.setColor(Color.decode(colour));
                graphics.fill(new Rectangle2D.Double(left, top, right - left, bottom - top));
            }
        }
    }

    private void draw(Mark.Picture picture) {
        AffineTransform placed = AffineTransform.getTranslateInstance(picture.x(), picture.y());
        placed.scale(
                picture.width() / picture.image().getWidth(),
                picture.height() / picture.image().getHeight());
        graphics.setRenderingHint(
                RenderingHints.KEY_INTERPOLATION,
                picture.exact()
                        ? RenderingHints.VALUE_INTERPOLATION_NEAREST_NEIGHBOR
                        : RenderingHints.VALUE_INTERPOLATION_BICUBIC);
        graphics.drawImage(picture.image(), placed, null);
    }

    private double snap(double at) {
        return Math.rint(at * scale) / scale;
    }

    private void draw(Mark.Line line) {
        Path2D path = path(line.points());
        graphics.setColor(Color.decode(line.stroke()));
        float width = (float) line.width();
        graphics.setStroke(
                line.dash() > 0
                        ? new BasicStroke(
                                width,
                                BasicStroke.CAP_BUTT,
                                BasicStroke.JOIN_ROUND,
                                1,
                                new float[] {(float) line.dash()},
                                0)
                        : new BasicStroke(width, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND));
        graphics.draw(path);
    }

    private static Path2D path(List<Double> points) {
        Path2D path = new Path2D.Double();
        for (int i = 0; i < points.size(); i += 2) {
            if (i == 0) {
                path.moveTo(points.get(i), points.get(i + 1));
            } else {
                path.lineTo(points.get(i), points.get(i + 1));
            }
        }
        return path;
    }

    private void draw(Mark.Text text) {
        Font font = new Font(Font.SANS_SERIF, text.bold() ? Font.BOLD : Font.PLAIN, 1).deriveFont((float) text.size());
        graphics.setFont(font);
        graphics.setColor(Color.decode(text.fill()));
        double width = font.getStringBounds(text.text(), graphics.getFontRenderContext())
                .getWidth();
        double shift = switch (text.anchor()) {
            case START -> 0;
            case MIDDLE -> -width / 2;
            case END -> -width;
        };
        var before = graphics.getTransform();
        graphics.translate(text.x(), text.y());
        if (text.upwards()) {
            graphics.rotate(-Math.PI / 2);
        }
        graphics.drawString(text.text(), (float) shift, 0);
        graphics.setTransform(before);
    }
}
