package capture.figures;

import static org.assertj.core.api.Assertions.assertThat;

import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import javax.imageio.ImageIO;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FigureTest {
    private static final Style STYLE = Style.LIGHT;

    @Test
    void colourScale_isMatplotlibsRdBuReversed_withZeroInTheMiddle() {
        ColourScale scale = new ColourScale(2, true);
        assertThat(scale.colour(-2)).isEqualTo("#053061");
        assertThat(scale.colour(0)).isEqualTo("#f7f7f7");
        assertThat(scale.colour(2)).isEqualTo("#67001f");
        assertThat(scale.colour(9)).isEqualTo("#67001f");
        assertThat(scale.colour(0.4)).isEqualTo("#fddbc7");
        assertThat(scale.colour(Double.NaN)).isNull();
        assertThat(new ColourScale(2, false).colour(0)).isEqualTo("#f7f7f7");
        assertThat(ColourScale.of(true, -3, 1, Double.NaN)).isEqualTo(new ColourScale(3, true));
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
    void heatMap_hasItsFirstRowAtTheBottom_andHatchesBehind() {
        Canvas canvas = new Canvas(STYLE);
        canvas.heatMap(
                0, 0, 20, 20, 2, 2, new ColourScale(1, true), (row, col) -> row == 0 && col == 1 ? 1 : Double.NaN);
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
    void frameTicks_fitAndEndWithTheLast() {
        Canvas canvas = new Canvas(STYLE);
        assertThat(canvas.frameTicks(21, 400)).hasSize(21);
        assertThat(canvas.frameTicks(21, 60)).startsWith(0).endsWith(20).hasSizeLessThan(6);
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
            boolean fits = canvas.textWidth(String.valueOf(count - 1), STYLE.tickSize()) <= length;
            assertThat(ticks.contains(count - 1)).as("last of %d frames", count).isEqualTo(fits);
        }
    }

    @Test
    void number_isShort() {
        assertThat(List.of(0.0, 0.123456, -12.34, 1234.5, 0.00012).stream().map(Canvas::number))
                .containsExactly("0", "0.12", "\u221212.3", "1235", "1.2e\u221204");
    }
}
