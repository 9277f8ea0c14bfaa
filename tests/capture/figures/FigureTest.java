package capture.figures;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.DoubleStream;
import javax.imageio.ImageIO;
import org.apache.pdfbox.Loader;
import org.apache.pdfbox.cos.COSName;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.pdmodel.PDPage;
import org.apache.pdfbox.rendering.PDFRenderer;
import org.apache.pdfbox.text.PDFTextStripper;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.op.UsageException;

class FigureTest {
    private static final Style STYLE = Style.LIGHT;

    @Test
    void colourScale_isMatplotlibsRdBuReversed_withZeroInTheMiddle() {
        ColourScale scale = ColourScale.of(true, -1, 2, Double.NaN);
        assertThat(scale).isEqualTo(new ColourScale(ColourMap.RDBU_R, false, -2, 2));
        assertThat(scale.colour(-2)).isEqualTo("#053061");
        assertThat(scale.colour(0)).isEqualTo("#f7f7f7");
        assertThat(scale.colour(2)).isEqualTo("#67001f");
        assertThat(scale.colour(9)).isEqualTo("#67001f");
        assertThat(scale.colour(0.4)).isEqualTo("#fddbc7");
        assertThat(scale.colour(Double.NaN)).isNull();
    }

    private static ColourScale scale(String norm, String limits, boolean signed, double... values) {
        return new ScaleChoice(
                        norm.isEmpty() ? ScaleChoice.Norm.USUAL : ScaleChoice.Norm.parse(norm),
                        limits.isEmpty() ? null : ScaleChoice.Limits.parse(limits),
                        null)
                .scale(signed, values);
    }

    @Test
    void scale_ofUnsignedValues_beginsAtZero_unlessAllLieInTheUpperHalf() {
        assertThat(scale("", "", false, 0.2, 1)).isEqualTo(new ColourScale(ColourMap.REDS, false, 0, 1));
        assertThat(scale("", "", false, 2.5, 2.9)).isEqualTo(new ColourScale(ColourMap.REDS, false, 2.5, 2.9));
        assertThat(scale("", "", false, 0.5, 0.5)).isEqualTo(new ColourScale(ColourMap.REDS, false, 0.5, 1));
        assertThat(scale("", "", false)).isEqualTo(new ColourScale(ColourMap.REDS, false, 0, 1));
        assertThat(scale("", "", false, 0.2, 1).colour(0)).isEqualTo("#f7f7f7");
    }

    @Test
    void scale_ofEffects_beginsAtZero_whereverTheyLie() {
        assertThat(ScaleChoice.fromZero(DoubleStream.of(0.8, 0.9, Double.POSITIVE_INFINITY))
                        .scale(false, 0.8, 0.9))
                .isEqualTo(new ColourScale(ColourMap.REDS, false, 0, 0.9));
        assertThat(ScaleChoice.fromZero(DoubleStream.empty()).scale(false))
                .isEqualTo(new ColourScale(ColourMap.REDS, false, 0, 1));
    }

    @Test
    void scale_takesLimits_asValuesOrPercentiles() {
        double[] values = new double[101];
        for (int i = 0; i < values.length; i++) {
            values[i] = i;
        }
        assertThat(scale("", "-1,3", true, values)).isEqualTo(new ColourScale(ColourMap.RDBU_R, false, -1, 3));
        // 0 stays white: what lies between the limits is a part of the map.
        assertThat(scale("", "-1,3", true, values).colour(0)).isEqualTo("#f7f7f7");
        assertThat(scale("", "-1,3", true, values).colour(-1))
                .isEqualTo(scale("", "-3,3", true).colour(-1));
        assertThat(scale("", "2.5%,97.5%", false, values)).isEqualTo(new ColourScale(ColourMap.REDS, false, 2.5, 97.5));
        assertThat(scale("", "5%,95%", true, values)).isEqualTo(new ColourScale(ColourMap.RDBU_R, false, -95, 95));
        assertThat(scale("symmetric", "", false, 1, 2)).isEqualTo(new ColourScale(ColourMap.RDBU_R, false, -2, 2));
    }

    @Test
    void scale_log_spreadsRatiosEvenly() {
        ColourScale log = scale("log", "", false, 0, 0.001, 0.1, Double.NaN);
        assertThat(log).isEqualTo(new ColourScale(ColourMap.REDS, true, 0.001, 0.1));
        assertThat(log.position(0.01)).isCloseTo(0.5, within(1e-12));
        assertThat(log.at(0.5)).isCloseTo(0.01, within(1e-12));
        assertThat(log.colour(0)).isEqualTo(log.colour(0.001));
        assertThat(log.ticks(4))
                .hasSize(3)
                .allSatisfy(tick -> assertThat(List.of(0.001, 0.01, 0.1))
                        .anySatisfy(round -> assertThat(tick).isCloseTo(round, within(1e-9))));
        assertThatThrownBy(() -> scale("log", "", true, 1, 2)).hasMessageContaining("never negative");
        assertThatThrownBy(() -> scale("log", "0,2", false, 1, 2)).hasMessageContaining("above 0");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "1", "1,2,3", "2,1", "1%,2", "-1%,50%", "50%,101%", "a,b", "1e,2"})
    void limits_areRefused_thatAreNone(String text) {
        assertThatThrownBy(() -> ScaleChoice.Limits.parse(text))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("figure.limits: expected two values such as -2,2");
    }

    @Test
    void colourMaps_goFromTheirFirstColourToTheirLast() {
        assertThat(ColourMap.parse("VIRIDIS").colour(0)).isEqualTo("#440154");
        assertThat(ColourMap.parse("viridis").colour(1)).isEqualTo("#fde725");
        assertThat(ColourMap.parse("Greys").colour(0.5)).isEqualTo("#969696");
        assertThatThrownBy(() -> ColourMap.parse("jet")).hasMessageContaining("RdBu_r, PuOr_r, Reds, viridis");
    }

    @Test
    void roundTicks_areMultiplesOf1And2And5() {
        assertThat(RoundTicks.within(-1.61, 1.61, 4)).containsExactly(-1.0, 0.0, 1.0);
        assertThat(RoundTicks.within(0, 0.31, 4)).hasSize(4).startsWith(0.0);
        assertThat(RoundTicks.within(2.5, 2.9, 4).stream().map(RoundTicks::label))
                .containsExactly("2.5", "2.6", "2.7", "2.8", "2.9");
        assertThat(List.of(-0.5, 1e-4, 2e6, 0.0).stream().map(RoundTicks::label))
                .containsExactly("\u22120.5", "1e\u22124", "2e6", "0");
    }

    /** Cells 1 2 / - 3 of 10 x 10 points at (10, 10) in both formats. */
    private static Figure cells() {
        List<@Nullable String> colours = new ArrayList<>();
        Collections.addAll(colours, "#ff0000", "#00ff00", null, "#0000ff");
        return new Figure(40, 40, "a < b", STYLE, List.of(new Mark.Cells(10, 10, 10, 10, 2, colours)));
    }

    @Test
    void svg_putsCellsOfAColourIntoOnePath_andLeavesOutMaskedOnes() {
        String svg = SvgFigure.write(cells());
        assertThat(svg)
                .contains("transform=\"matrix(10 0 0 10 10 10)\"")
                .contains("<path fill=\"#ff0000\" d=\"M0 0h1v1h-1z\"/>")
                .contains("<path fill=\"#0000ff\" d=\"M1 1h1v1h-1z\"/>")
                .contains("<title>a &lt; b</title>")
                .contains("width=\"40pt\"");
    }

    @Test
    void png_paintsWholePixelsWithoutSmoothing() throws Exception {
        BufferedImage image = ImageIO.read(new ByteArrayInputStream(PngFigure.write(cells(), 72)));
        assertThat(image.getRGB(10, 10)).isEqualTo(0xffff0000);
        assertThat(image.getRGB(19, 19)).isEqualTo(0xffff0000);
        assertThat(image.getRGB(20, 10)).isEqualTo(0xff00ff00);
        assertThat(image.getRGB(10, 20)).isEqualTo(0xffffffff);
        assertThat(image.getRGB(29, 29)).isEqualTo(0xff0000ff);
        assertThat(image.getRGB(30, 30)).isEqualTo(0xffffffff);
    }

    @Test
    void pdf_hasItsTextAsText_inAFontOfItsOwn_andIsTheSameEachTime() throws Exception {
        Figure figure = new Figure(
                200,
                100,
                "a title",
                STYLE,
                List.of(
                        new Mark.Text(
                                4, 12, "L4H10, sink \u22120.29 \u4e2d", 8, Mark.Anchor.START, true, false, "#000000"),
                        new Mark.Text(20, 60, "query frame", 8, Mark.Anchor.MIDDLE, false, true, "#000000"),
                        new Mark.Area(List.of(1.0, 1.0, 9.0, 1.0, 9.0, 9.0), "#ff0000", 0.2),
                        new Mark.Picture(50, 50, 20, 20, new BufferedImage(2, 2, BufferedImage.TYPE_INT_RGB), true),
                        cells().marks().getFirst()));
        byte[] pdf = PdfFigure.write(figure);
        assertThat(PdfFigure.write(figure)).isEqualTo(pdf);
        assertThat(new String(pdf, StandardCharsets.ISO_8859_1))
                .startsWith("%PDF")
                .contains("/Producer (wan-attn)");
        try (PDDocument document = Loader.loadPDF(pdf)) {
            PDPage page = document.getPage(0);
            assertThat(page.getMediaBox().getWidth()).isEqualTo(200);
            assertThat(new PDFTextStripper()
                            .getText(document)
                            .replaceAll("\\s", "")) // it breaks lines within upright text
                    .contains("L4H10,sink\u22120.29?")
                    .contains("queryframe");
            for (COSName name : page.getResources().getFontNames()) {
                assertThat(page.getResources().getFont(name).isEmbedded()).isTrue();
            }
            BufferedImage image = new PDFRenderer(document).renderImage(0);
            assertThat(image.getRGB(15, 15)).isEqualTo(0xffff0000);
            assertThat(image.getRGB(25, 15)).isEqualTo(0xff00ff00);
            assertThat(image.getRGB(15, 25)).isEqualTo(0xffffffff);
            assertThat(image.getRGB(25, 25)).isEqualTo(0xff0000ff);
        }
    }

    @Test
    void heatMap_hasItsFirstRowAtTheBottom_andHatchesBehind() {
        Canvas canvas = new Canvas(STYLE);
        canvas.heatMap(
                0, 0, 20, 20, 2, 2, ColourScale.of(true, 1), (row, col) -> row == 0 && col == 1 ? 1 : Double.NaN);
        assertThat(canvas.marks().getFirst()).isEqualTo(new Mark.Hatch(0, 0, 20, 20));
        Mark.Cells cells = (Mark.Cells) canvas.marks().get(1);
        assertThat(cells.colours()).containsExactly(null, null, null, "#67001f");
    }

    @Test
    void escape_keepsTextAndDropsWhatXmlHasNot() {
        assertThat(SvgFigure.escape("a<b>&\"c\u0000\u001b\ud800\u4e2d"))
                .isEqualTo("a&lt;b&gt;&amp;&quot;c\ufffd\ufffd\ufffd\u4e2d");
    }

    @Test
    void frameTicks_areRound_andFit() {
        Canvas canvas = new Canvas(STYLE);
        assertThat(canvas.frameTicks(21, 400)).hasSize(21);
        assertThat(canvas.frameTicks(30, 200)).containsExactly(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28);
        assertThat(canvas.frameTicks(19, 60)).containsExactly(0, 5, 10, 15);
        assertThat(canvas.frameTicks(1, 10)).containsExactly(0);
    }

    /** Labels of neighbouring panels and of one panel, whatever the number of frames; a gap of a point at least. */
    @ParameterizedTest
    @ValueSource(doubles = {6, 12, 40, 71.5, 90, 107, 150, 230, 400})
    void frameTicks_haveLabelsThatKeepClearOfEachOther(double length) {
        Canvas canvas = new Canvas(STYLE);
        for (int count :
                new int[] {1, 2, 3, 7, 21, 99, 100, 101, 121, 250, 299, 300, 999, 1000, 1001, 9999, 12345, 600000}) {
            double end = -1;
            List<Integer> ticks = canvas.frameTicks(count, length);
            for (int tick : ticks) {
                double wide = canvas.textWidth(String.valueOf(tick), STYLE.tickSize());
                double start = canvas.labelMiddle(tick, length / count, length) - wide / 2;
                assertThat(start).as("%d of %d frames", tick, count).isGreaterThanOrEqualTo(end + 1 - 1e-9);
                end = start + wide;
            }
            assertThat(end).isLessThanOrEqualTo(length + 1e-9);
            if (ticks.size() > 2) {
                int step = ticks.get(1);
                for (int i = 0; i < ticks.size(); i++) {
                    assertThat(ticks.get(i))
                            .as("tick %d of %d frames", i, count)
                            .isEqualTo(i * step);
                }
            }
        }
    }

    @Test
    void number_isShort() {
        assertThat(List.of(0.0, 0.123456, -12.34, 1234.5, 0.00012).stream().map(Canvas::number))
                .containsExactly("0", "0.12", "\u221212.3", "1235", "1.2e\u221204");
    }
}
