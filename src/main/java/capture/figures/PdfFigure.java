package capture.figures;

import java.awt.Color;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Objects;
import org.apache.pdfbox.cos.COSName;
import org.apache.pdfbox.pdfwriter.compress.CompressParameters;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.pdmodel.PDPage;
import org.apache.pdfbox.pdmodel.PDPageContentStream;
import org.apache.pdfbox.pdmodel.common.PDRectangle;
import org.apache.pdfbox.pdmodel.font.PDType0Font;
import org.apache.pdfbox.pdmodel.graphics.image.JPEGFactory;
import org.apache.pdfbox.pdmodel.graphics.image.LosslessFactory;
import org.apache.pdfbox.pdmodel.graphics.image.PDImageXObject;
import org.apache.pdfbox.pdmodel.graphics.state.PDExtendedGraphicsState;
import org.apache.pdfbox.pdmodel.graphics.state.RenderingMode;
import org.apache.pdfbox.util.Matrix;
import org.jspecify.annotations.Nullable;
import wan.op.WanException;

/** Figures as PDF of one page: lines and cells as vectors, text as text in a font that is embedded, as far as it is used. */
public final class PdfFigure {
    /** Metrically the same as Arial; PDFBox brings it. It has no bold, so that titles are drawn with an outline. */
    private static final String FONT = "/org/apache/pdfbox/resources/ttf/LiberationSans-Regular.ttf";

    private static final double BOLD = 0.035;
    private static final String UNKNOWN = "?";

    /** How far a cell reaches below its neighbours, which are drawn after it: no seams when a viewer smooths edges, in points. */
    private static final double OVERLAP = 0.3;

    private final PDDocument document;
    private final PDPageContentStream page;
    private final PDType0Font font;
    private final Style style;

    private PdfFigure(PDDocument document, PDPageContentStream page, PDType0Font font, Style style) {
        this.document = document;
        this.page = page;
        this.font = font;
        this.style = style;
    }

    /** The file's bytes; the same figure gives the same bytes. */
    public static byte[] write(Figure figure) {
        System.setProperty("java.awt.headless", "true"); // as in PngFigure
        try (PDDocument document = new PDDocument();
                InputStream ttf = Objects.requireNonNull(PdfFigure.class.getResourceAsStream(FONT))) {
            PDType0Font font = PDType0Font.load(document, ttf, true);
            float width = (float) figure.width();
            float height = (float) figure.height();
            PDPage page = new PDPage(new PDRectangle(width, height));
            document.addPage(page);
            try (PDPageContentStream content = new PDPageContentStream(document, page)) {
                content.transform(new Matrix(1, 0, 0, -1, 0, height)); // y grows downwards, as in marks
                PdfFigure drawing = new PdfFigure(document, content, font, figure.style());
                drawing.fill(figure.style().background());
                content.addRect(0, 0, width, height);
                content.fill();
                for (Mark mark : figure.marks()) {
                    drawing.draw(mark);
                }
            }
            document.getDocumentInformation().setProducer("wan-attn");
            document.getDocumentInformation().setTitle(figure.title());
            document.setDocumentId(0L); // otherwise the time
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            document.save(out, CompressParameters.NO_COMPRESSION); // streams are compressed; the rest stays readable
            return out.toByteArray();
        } catch (IOException e) {
            throw new WanException("PDF: " + e.getMessage(), e);
        }
    }

    private void draw(Mark mark) throws IOException {
        switch (mark) {
            case Mark.Group group -> {
                for (Mark inner : group.marks()) {
                    draw(inner);
                }
            }
            case Mark.Rect rect -> {
                if (rect.fill() != null) {
                    fill(rect.fill());
                    rect(rect.x(), rect.y(), rect.width(), rect.height());
                    page.fill();
                }
                if (rect.stroke() != null) {
                    stroke(rect.stroke(), rect.strokeWidth(), 0);
                    rect(rect.x(), rect.y(), rect.width(), rect.height());
                    page.stroke();
                }
            }
            case Mark.Hatch hatch -> draw(hatch);
            case Mark.Cells cells -> draw(cells);
            case Mark.Picture picture -> draw(picture);
            case Mark.Line line -> {
                stroke(line.stroke(), line.width(), line.dash());
                path(line.points());
                page.stroke();
            }
            case Mark.Area area -> {
                PDExtendedGraphicsState translucent = new PDExtendedGraphicsState();
                translucent.setNonStrokingAlphaConstant((float) area.opacity());
                page.saveGraphicsState();
                page.setGraphicsStateParameters(translucent);
                fill(area.fill());
                path(area.points());
                page.closePath();
                page.fill();
                page.restoreGraphicsState();
            }
            case Mark.Dot dot -> draw(dot);
            case Mark.Text text -> draw(text);
        }
    }

    private void draw(Mark.Hatch hatch) throws IOException {
        page.saveGraphicsState();
        rect(hatch.x(), hatch.y(), hatch.width(), hatch.height());
        page.clip();
        stroke(style.hatch(), 0.5, 0);
        for (double x = hatch.x() - hatch.height(); x < hatch.x() + hatch.width(); x += 4) {
            page.moveTo((float) x, (float) (hatch.y() + hatch.height()));
            page.lineTo((float) (x + hatch.height()), (float) hatch.y());
        }
        page.stroke();
        page.restoreGraphicsState();
    }

    /** Neighbours of one colour in a row are one rectangle. */
    private void draw(Mark.Cells cells) throws IOException {
        List<@Nullable String> colours = cells.colours();
        int columns = cells.columns();
        String current = "";
        for (int i = 0; i < colours.size(); ) {
            String colour = colours.get(i);
            boolean covered = isCovered(cells, i + columns);
            int end = i + 1;
            while (end < colours.size()
                    && end % columns != 0
                    && colour != null
                    && colour.equals(colours.get(end))
                    && covered == isCovered(cells, end + columns)) {
                end++;
            }
            if (colour != null) {
                if (!colour.equals(current)) {
                    fill(colour);
                    current = colour;
                }
                boolean next = end % columns != 0 && isCovered(cells, end);
                rect(
                        cells.x() + i % columns * cells.cellWidth(),
                        cells.y() + Math.floorDiv(i, columns) * cells.cellHeight(),
                        (end - i) * cells.cellWidth() + (next ? OVERLAP : 0),
                        cells.cellHeight() + (covered ? OVERLAP : 0));
                page.fill();
            }
            i = end;
        }
    }

    /** Whether there is a cell that will be drawn over what reaches into it. */
    private static boolean isCovered(Mark.Cells cells, int index) {
        return index < cells.colours().size() && cells.colours().get(index) != null;
    }

    private void draw(Mark.Picture picture) throws IOException {
        PDImageXObject image;
        if (picture.exact()) {
            image = LosslessFactory.createFromImage(document, picture.image());
            image.getCOSObject().setBoolean(COSName.INTERPOLATE, false);
        } else {
            image = JPEGFactory.createFromByteArray(document, Pictures.jpeg(picture.image()));
        }
        page.drawImage(
                image, new Matrix((float) picture.width(), 0, 0, (float) -picture.height(), (float) picture.x(), (float)
                        (picture.y() + picture.height())));
    }

    /** A circle of four Bezier curves. */
    private void draw(Mark.Dot dot) throws IOException {
        float x = (float) dot.x();
        float y = (float) dot.y();
        float r = (float) dot.radius();
        float k = 0.5523f * r;
        fill(dot.fill());
        page.moveTo(x + r, y);
        page.curveTo(x + r, y + k, x + k, y + r, x, y + r);
        page.curveTo(x - k, y + r, x - r, y + k, x - r, y);
        page.curveTo(x - r, y - k, x - k, y - r, x, y - r);
        page.curveTo(x + k, y - r, x + r, y - k, x + r, y);
        page.closePath();
        page.fill();
    }

    private void draw(Mark.Text text) throws IOException {
        String words = encodable(text.text());
        double width = font.getStringWidth(words) / 1000 * text.size();
        double shift = switch (text.anchor()) {
            case START -> 0;
            case MIDDLE -> -width / 2;
            case END -> -width;
        };
        fill(text.fill());
        page.beginText();
        page.setFont(font, (float) text.size());
        if (text.bold()) {
            stroke(text.fill(), BOLD * text.size(), 0);
        }
        page.setRenderingMode(text.bold() ? RenderingMode.FILL_STROKE : RenderingMode.FILL);
        // Letters stand upright although y grows downwards.
        page.setTextMatrix(
                text.upwards()
                        ? new Matrix(0, -1, -1, 0, (float) text.x(), (float) (text.y() - shift))
                        : new Matrix(1, 0, 0, -1, (float) (text.x() + shift), (float) text.y()));
        page.showText(words);
        page.endText();
    }

    /** The text with a question mark for every character that the font does not have. */
    private String encodable(String text) throws IOException {
        StringBuilder out = new StringBuilder();
        for (int c : text.codePoints().toArray()) {
            String character = Character.toString(c);
            try {
                font.encode(character);
                out.append(character);
            } catch (IllegalArgumentException _) {
                out.append(UNKNOWN);
            }
        }
        return out.toString();
    }

    private void rect(double x, double y, double width, double height) throws IOException {
        page.addRect((float) x, (float) y, (float) width, (float) height);
    }

    private void path(List<Double> points) throws IOException {
        for (int i = 0; i < points.size(); i += 2) {
            float x = points.get(i).floatValue();
            float y = points.get(i + 1).floatValue();
            if (i == 0) {
                page.moveTo(x, y);
            } else {
                page.lineTo(x, y);
            }
        }
    }

    private void fill(String colour) throws IOException {
        page.setNonStrokingColor(Color.decode(colour));
    }

    private void stroke(String colour, double width, double dash) throws IOException {
        page.setStrokingColor(Color.decode(colour));
        page.setLineWidth((float) width);
        page.setLineDashPattern(dash > 0 ? new float[] {(float) dash} : new float[0], 0);
    }
}
