package wan.app.command;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import capture.analysis.ResultFiles;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import javax.imageio.ImageIO;
import javax.xml.parsers.DocumentBuilderFactory;
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

    @BeforeAll
    static void makeResult() {
        result = ResultFiles.made(dir.resolve("made.safetensors"), 3, 4, 4, 2, 5, "a prompt");
    }

    private static Path plot(Object... args) {
        PlotCommand command = new PlotCommand();
        String[] line = new String[args.length + 1];
        line[0] = result.toString();
        for (int i = 0; i < args.length; i++) {
            line[i + 1] = args[i].toString();
        }
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
    @ValueSource(strings = {"heads", "bars", "lines", "mosaic", "measure", "passes", "pass-lines", "tokens"})
    void svg_hasTheStructureThatWasLookedAt(String kind) throws Exception {
        for (String style : new String[] {"light", "print"}) {
            double width = style.equals("print") ? 84 : 178;
            Path file = plot(
                    "--kind",
                    kind,
                    "--layer",
                    1,
                    "--head",
                    2,
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
                "--out a.pdf|.svg or .png",
                "--layer 7 --out a.svg|--layer: expected one of [0, 1, 2]",
                "--head 9 --out a.svg|--head: expected one of",
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

    @Test
    void plot_writesNothing_whenTheFolderIsMissing() {
        assertThatThrownBy(() -> plot("--out", dir.resolve("no/where.svg"))).isInstanceOf(WanException.class);
    }
}
