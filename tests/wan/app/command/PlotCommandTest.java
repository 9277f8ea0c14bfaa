package wan.app.command;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import capture.analysis.ResultFiles;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import javax.xml.parsers.DocumentBuilderFactory;
import org.apache.pdfbox.Loader;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.text.PDFTextStripper;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import picocli.CommandLine;
import wan.op.UsageException;
import wan.op.WanException;

/**
 * Every figure is written and its structure compared with tests/goldens/figures: groups, how many elements of each kind, all texts.
 * Run with -Dgoldens.write=true to write those files anew, and look at the figures then.
 */
class PlotCommandTest {
    @TempDir
    static Path dir;

    static Path result;
    static Path other;
    static Path tokens;

    @BeforeAll
    static void makeResult() {
        result = ResultFiles.made(dir.resolve("made.safetensors"), 3, 4, 4, 2, 5, "a prompt");
        other = ResultFiles.made(dir.resolve("other.safetensors"), 3, 4, 4, 2, 6, "a prompt");
        tokens = ResultFiles.ofTokens(dir.resolve("tokens.safetensors"));
    }

    private static Path plot(Object... args) {
        return plotOf(List.of(result), args);
    }

    private static Path plotOf(List<Path> results, Object... args) {
        PlotCommand command = new PlotCommand();
        String[] line = Stream.concat(results.stream(), Stream.of(args))
                .map(Object::toString)
                .toArray(String[]::new);
        new CommandLine(command).parseArgs(line);
        assertThat(command.call()).isZero();
        return Path.of(line[line.length - 1]);
    }

    @ParameterizedTest
    @ValueSource(strings = {"ar-EG", "fa-IR", "hi-IN-u-nu-deva", "de-DE", "tr-TR"})
    void svg_isTheSame_inEveryLocale(String tag) throws Exception {
        String plain = Files.readString(plot("--kind", "heads", "--out", dir.resolve("plain.svg")));
        Locale before = Locale.getDefault();
        try {
            Locale.setDefault(Locale.forLanguageTag(tag));
            assertThat(Files.readString(plot("--kind", "heads", "--out", dir.resolve(tag + ".svg"))))
                    .isEqualTo(plain);
        } finally {
            Locale.setDefault(before);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "heads",
                "bars",
                "lines",
                "mosaic",
                "measure",
                "passes",
                "pass-lines",
                "tokens",
                "token-matrix",
                "prompt"
            })
    void svg_hasTheStructureThatWasLookedAt(String kind) throws Exception {
        for (String style : new String[] {"light", "print"}) {
            double width = style.equals("print") ? 84 : 178;
            boolean ofTokens = kind.equals("token-matrix") || kind.equals("prompt");
            boolean oneHead = kind.startsWith("pass") || kind.startsWith("token");
            boolean oneLayer = !kind.equals("mosaic") && !kind.equals("measure");
            Path file = plotOf(
                    List.of(ofTokens ? tokens : result),
                    "--kind",
                    kind,
                    "--layer",
                    ofTokens ? 0 : oneLayer ? 1 : "all",
                    "--head",
                    !oneHead ? "all" : ofTokens ? 1 : 2,
                    "--style",
                    style,
                    "--width-mm",
                    width,
                    "--out",
                    dir.resolve(kind + "-" + style + ".svg"));
            String outline = outline(Files.readString(file));
            Path golden = Path.of("tests/goldens/figures", kind + "-" + style + ".txt");
            if (Boolean.getBoolean("goldens.write")) {
                Files.createDirectories(golden.getParent());
                Files.writeString(golden, outline);
            }
            assertThat(outline).as(kind + " " + style).isEqualTo(Files.readString(golden));
        }
    }

    /** The figure's size, and for each group its name, how many elements of each kind it has, and its texts. */
    private static String outline(String svg) throws Exception {
        Element root = DocumentBuilderFactory.newDefaultInstance()
                .newDocumentBuilder()
                .parse(new ByteArrayInputStream(svg.getBytes(StandardCharsets.UTF_8)))
                .getDocumentElement();
        StringBuilder out =
                new StringBuilder("svg " + root.getAttribute("width") + " x " + root.getAttribute("height") + "\n");
        describe(root, "", out);
        return out.toString();
    }

    private static void describe(Element group, String indent, StringBuilder out) {
        Map<String, Integer> counts = new TreeMap<>();
        for (Node node = group.getFirstChild(); node != null; node = node.getNextSibling()) {
            if (node instanceof Element element) {
                String kind = element.getTagName();
                if (kind.equals("g") && element.hasAttribute("id")) {
                    out.append(indent)
                            .append("#")
                            .append(element.getAttribute("id"))
                            .append('\n');
                    describe(element, indent + "  ", out);
                } else if (kind.equals("g")) {
                    counts.merge("cells", cells(element), Integer::sum);
                } else if (kind.equals("text") || kind.equals("title")) {
                    out.append(indent).append(element.getTextContent()).append('\n');
                } else {
                    counts.merge(kind + (element.getAttribute("class").isEmpty() ? "" : " masked"), 1, Integer::sum);
                }
            }
        }
        counts.forEach((kind, count) ->
                out.append(indent).append(count).append(' ').append(kind).append('\n'));
    }

    private static int cells(Element group) {
        int cells = 0;
        for (Node node = group.getFirstChild(); node != null; node = node.getNextSibling()) {
            if (node instanceof Element path) {
                for (String run : path.getAttribute("d").split("h", -1)) {
                    cells += run.startsWith("-") || run.startsWith("M")
                            ? 0
                            : Integer.parseInt(run.replaceFirst("v.*", ""));
                }
            }
        }
        return cells;
    }

    @ParameterizedTest
    @ValueSource(strings = {"heads", "bars", "lines", "mosaic", "measure", "passes", "pass-lines", "tokens"})
    void png_isDrawnAtItsDpi(String kind) throws Exception {
        Path file = plot("--kind", kind, "--width-mm", 127, "--dpi", 100, "--out", dir.resolve(kind + ".png"));
        BufferedImage image = ImageIO.read(file.toFile());
        assertThat(image.getWidth()).isEqualTo(500);
        assertThat(image.getRGB(0, 0)).isEqualTo(0xffffffff);
        TreeSet<Integer> colours = new TreeSet<>();
        for (int y = 0; y < image.getHeight(); y++) {
            for (int x = 0; x < image.getWidth(); x++) {
                colours.add(image.getRGB(x, y));
            }
        }
        assertThat(colours).hasSizeGreaterThan(20);
        // pHYs: 100 dpi are 3937 pixels per metre.
        String bytes = Files.readString(file, StandardCharsets.ISO_8859_1);
        int at = bytes.indexOf("pHYs");
        assertThat(at).isPositive();
        assertThat(bytes.charAt(at + 6) << 8 | bytes.charAt(at + 7)).isEqualTo(3937);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--kind x --out a.svg|--kind: expected heads",
                "--out a.eps|--output: expected a name that ends in .svg, .pdf or .png",
                "--layer 7 --out a.svg|--layer: expected one of [0, 1, 2]",
                "--head 9 --out a.svg|--head: expected one of",
                "--layer 0,1 --out a.svg|--layer: --kind heads shows one layer, got [0, 1]",
                "--kind passes --head 0-1 --out a.svg|--head: --kind passes shows one head, got [0, 1]",
                "--over sd --out a.svg|figure.over: sd: expected two runs or more, got 1",
                "--over median --out a.svg|figure.over: expected mean, sd or difference",
                "--limits 3 --out a.svg|figure.limits: expected two values",
                "--scale log --out a.svg|figure.scale: log: expected values that are never negative",
                "--cmap jet --out a.svg|figure.colour_map: expected RdBu_r",
                "--style dark --out a.svg|figure.style: expected light or print",
                "--what key-logits --out a.svg|--what: expected frame-logits",
                "--width-mm 3 --out a.svg|--width-mm",
                "--dpi 1000000 --out a.png|figure.dpi",
                "--kind measure --measure x --out a.svg|analysis.measure: expected one of sink_score"
            })
    void plot_tellsWhatIsWrong(String args, String said) {
        assertThatThrownBy(() -> plot((Object[]) args.split(" ")))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining(said);
    }

    private static List<String> texts(Path svg) throws Exception {
        return outline(Files.readString(svg)).lines().map(String::strip).toList();
    }

    @Test
    void title_isLeftOutOrReplaced() throws Exception {
        assertThat(texts(plot("--title", "", "--out", dir.resolve("none.svg"))))
                .contains("L1H1")
                .noneMatch(text ->
                        text.equals("Layer 0 (L1): query frame by key frame") || text.startsWith("made, step0"));
        assertThat(texts(plot("--title", "Sinks come early", "--out", dir.resolve("own.svg"))))
                .contains("Sinks come early")
                .noneMatch(text -> text.startsWith("made, step0"));
    }

    @Test
    void subset_ofHeadsAndLayers_isWhatIsShown() throws Exception {
        assertThat(texts(plot("--layer", 2, "--head", "1,3", "--out", dir.resolve("two.svg"))))
                .contains("L3H2", "L3H4")
                .doesNotContain("L3H1", "L3H3");
        assertThat(texts(plot(
                        "--kind", "mosaic", "--layer", "0,2", "--head", "1-2", "--out", dir.resolve("corner.svg"))))
                .contains("#layer-0", "#layer-2")
                .doesNotContain("#layer-1");
        assertThat(texts(plot("--kind", "lines", "--head", "0", "--out", dir.resolve("one.svg"))))
                .contains("L1H1")
                .doesNotContain("L1H2");
    }

    /** Runs with themselves: the difference and the standard deviation are 0 everywhere, the mean is the run. */
    @Test
    void severalRuns_areMergedCellByCell() throws Exception {
        for (String kind : new String[] {"heads", "measure", "mosaic"}) {
            Path zero = plotOf(
                    List.of(result, result), "--over", "difference", "--kind", kind, "--out", dir.resolve("zero.svg"));
            assertThat(Files.readString(zero)).contains("difference in", "made less made");
            assertThat(fills(zero)).as(kind).contains("#f7f7f7");
            assertThat(cellFills(zero)).as(kind).containsOnly("#f7f7f7");
        }
        Path mean = plotOf(List.of(result, result), "--title", "", "--out", dir.resolve("mean.svg"));
        assertThat(cellFills(mean)).isEqualTo(cellFills(plot("--title", "", "--out", dir.resolve("alone.svg"))));
        assertThat(Files.readString(mean)).contains("mean of 2 runs");
        Path band =
                plotOf(List.of(result, other), "--kind", "lines", "--head", "0-1", "--out", dir.resolve("band.svg"));
        assertThat(Files.readString(band)).contains("mean of 2 runs");
        assertThat(texts(band).stream().filter(text -> text.equals("1 polygon")))
                .hasSize(2);
        assertThatThrownBy(() -> plotOf(List.of(result, tokens), "--out", dir.resolve("x.svg")))
                .isInstanceOf(WanException.class)
                .hasMessageContaining("same layers, heads and frames");
        assertThatThrownBy(() -> plotOf(List.of(result, other), "--kind", "tokens", "--out", dir.resolve("x.svg")))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("expected one result, got 2");
    }

    private static List<String> fills(Path svg) throws Exception {
        return Pattern.compile("fill=\"(#\\w+)\"")
                .matcher(Files.readString(svg))
                .results()
                .map(m -> m.group(1))
                .toList();
    }

    /** Colours of cells outside of the colour bar. */
    private static List<String> cellFills(Path svg) throws Exception {
        String text = Files.readString(svg).replaceFirst("(?s)<g id=\"colour-bar\">.*", "");
        return Pattern.compile("<path fill=\"(#\\w+)\"")
                .matcher(text)
                .results()
                .map(m -> m.group(1))
                .toList();
    }

    @Test
    void mass_isScaledByRowsWithAChoice() throws Exception {
        // Frame 0 attends itself alone: 1, whatever the head. The strongest colour belongs to another cell.
        Path usual = plot("--what", "frame-mass", "--head", 0, "--out", dir.resolve("usual.svg"));
        String strongest = Files.readString(usual).replaceFirst("(?s).*?<path fill=\"#67001f\" d=\"([^\"]*)\".*", "$1");
        assertThat(strongest.chars().filter(c -> c == 'M').count())
                .as("frame 0 with itself, and the largest of the rest")
                .isEqualTo(2);
        Path log = plot("--what", "frame-mass", "--scale", "log", "--cmap", "viridis", "--out", dir.resolve("log.svg"));
        assertThat(cellFills(log)).contains("#fde725");
    }

    @Test
    void pdf_ofEveryKind_isWritten_andReplacedByTheNextOne() throws Exception {
        for (String kind : new String[] {"heads", "bars", "lines", "mosaic", "measure", "passes", "tokens"}) {
            Path pdf = plot("--kind", kind, "--out", dir.resolve("figure.pdf"));
            assertThat(Files.readString(pdf, StandardCharsets.ISO_8859_1).contains("/Producer (wan-attn)"))
                    .isTrue();
        }
        Path pdf = plotOf(List.of(tokens), "--kind", "prompt", "--out", dir.resolve("prompt.pdf"));
        try (PDDocument document = Loader.loadPDF(pdf.toFile())) {
            String text = new PDFTextStripper().getText(document).replaceAll("\\s", "");
            assertThat(text).contains("cat", "</s>", "(padding)", "tokenoftheprompt");
        }
    }

    /** Where cross-attention also attends to a picture, the quantities of the text are called text_. */
    @Test
    void prompt_ofAModelWithAPicture_isThatOfTheText() throws Exception {
        Path pictured = dir.resolve("pictured.safetensors");
        String bytes = Files.readString(tokens, StandardCharsets.ISO_8859_1);
        String renamed = bytes.replaceAll("cross_(frame_\\w+)\"", "text_$1\" ");
        assertThat(renamed).isNotEqualTo(bytes).hasSameSizeAs(bytes);
        Files.writeString(pictured, renamed, StandardCharsets.ISO_8859_1);
        String plain = Files.readString(
                plotOf(List.of(tokens), "--title", "", "--kind", "prompt", "--out", dir.resolve("plain-prompt.svg")));
        String text = Files.readString(
                plotOf(List.of(pictured), "--title", "", "--kind", "prompt", "--out", dir.resolve("text-prompt.svg")));
        assertThat(text.replaceAll("<title>.*?</title>", "")).isEqualTo(plain.replaceAll("<title>.*?</title>", ""));
    }

    @Test
    void tokenMatrix_showsEveryToken() throws Exception {
        Path png = plotOf(
                List.of(tokens),
                "--kind",
                "token-matrix",
                "--head",
                1,
                "--title",
                "",
                "--dpi",
                72,
                "--out",
                dir.resolve("m.png"));
        assertThat(ImageIO.read(png.toFile()).getWidth()).isEqualTo(505);
        String svg = Files.readString(
                plotOf(List.of(tokens), "--kind", "token-matrix", "--head", 1, "--out", dir.resolve("m.svg")));
        String data = svg.replaceFirst("(?s).*image-rendering:pixelated\" href=\"data:image/png;base64,", "")
                .replaceFirst("(?s)\".*", "");
        BufferedImage image =
                ImageIO.read(new ByteArrayInputStream(Base64.getDecoder().decode(data)));
        assertThat(image.getWidth()).isEqualTo(24);
        assertThat(image.getHeight()).isEqualTo(18);
        // The largest is query 17, key 0: first query at the bottom.
        assertThat(image.getRGB(0, 0) & 0xffffff).isEqualTo(0x67001f);
        assertThat(svg).contains("masked");
    }

    @Test
    void plot_writesNothing_whenTheFolderIsMissing() {
        assertThatThrownBy(() -> plot("--out", dir.resolve("no/where.svg"))).isInstanceOf(WanException.class);
    }
}
