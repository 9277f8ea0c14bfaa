package capture.figures;

import static org.assertj.core.api.Assertions.assertThat;

import capture.analysis.MeasureOptions;
import capture.analysis.ResultFiles;
import capture.analysis.RoleOptions;
import capture.analysis.SavedResult;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.io.TempDir;
import org.openqa.selenium.By;
import org.openqa.selenium.Dimension;
import org.openqa.selenium.Keys;
import org.openqa.selenium.WebElement;
import org.openqa.selenium.chrome.ChromeDriver;
import org.openqa.selenium.interactions.Actions;
import org.openqa.selenium.logging.LogType;
import wan.app.Browser;
import wan.app.CommandLineRun;

/** Clicks through the report in Debian's chromium, without a window; skipped where that or its driver is missing. */
@Tag("slow")
@TestMethodOrder(MethodOrderer.MethodName.class)
class ReportBrowserTest {
    private static final String EVIL = "</script><img src=x onerror=\"document.title='taken'\">";

    @TempDir
    static Path dir;

    private static ChromeDriver browser;
    private static Path page;

    @BeforeAll
    static void openReport() throws Exception {
        page = dir.resolve("report.html");
        try (SavedResult one = SavedResult.open(ResultFiles.made(dir.resolve("one.safetensors"), 3, 4, 4, 2, 5, EVIL));
                SavedResult two =
                        SavedResult.open(ResultFiles.made(dir.resolve("two.safetensors"), 3, 4, 4, 2, 6, "other"))) {
            Files.write(page, Report.write(List.of(one, two), MeasureOptions.DEFAULT, RoleOptions.DEFAULT, "test"));
        }
        browser = Browser.open(dir.resolve("downloads"));
        browser.get(page.toUri().toString());
        until("the report is drawn", () -> !ready().isEmpty());
    }

    @AfterAll
    static void closeBrowser() {
        if (browser != null) {
            browser.quit();
        }
    }

    private static String ready() {
        Object value = browser.executeScript("return document.documentElement.dataset.ready || ''");
        return String.valueOf(value);
    }

    private static void until(String what, BooleanSupplier condition) throws InterruptedException {
        for (int i = 0; i < 300; i++) {
            if (condition.getAsBoolean()) {
                return;
            }
            Thread.sleep(50);
        }
        throw new AssertionError("waited in vain until " + what);
    }

    private static WebElement id(String id) {
        return browser.findElement(By.id(id));
    }

    private static void press(CharSequence... keys) {
        new Actions(browser).sendKeys(keys).perform();
    }

    /** Presses the middle of a cell of the overview; layers count from the bottom. */
    private static void openHead(int layer, int head) {
        WebElement grid = id("overview-grid");
        @SuppressWarnings("unchecked")
        List<Number> place = (List<Number>) browser.executeScript(
                "const svg = arguments[0], box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;"
                        + "const frame = svg.querySelector('rect'), a = k => +frame.getAttribute(k);"
                        + "const x = a('x') + (arguments[2] + 0.5) * a('width') / 4;"
                        + "const y = a('y') + (2 - arguments[1] + 0.5) * a('height') / 3;"
                        + "return [x * box.width / view.width - box.width / 2, y * box.height / view.height - box.height / 2];",
                grid,
                layer,
                head);
        new Actions(browser)
                .moveToElement(grid, place.get(0).intValue(), place.get(1).intValue())
                .click()
                .perform();
    }

    private static Path downloaded(String button, String ending) throws Exception {
        WebElement it = browser.findElement(By.cssSelector(button));
        browser.executeScript("arguments[0].scrollIntoView({block: 'center'})", it);
        it.click();
        Path folder = dir.resolve("downloads");
        List<Path> found = new ArrayList<>();
        until("a " + ending + " is downloaded", () -> {
            try (Stream<Path> files = Files.exists(folder) ? Files.list(folder) : Stream.empty()) {
                files.filter(file -> file.toString().endsWith(ending)).forEach(found::add);
                return !found.isEmpty() && Files.size(found.getFirst()) > 0;
            } catch (IOException e) {
                return false;
            }
        });
        assertThat(found.getFirst().getFileName().toString()).doesNotContain(" ", ",");
        Path moved = dir.resolve("got" + ending);
        Files.move(found.getFirst(), moved, StandardCopyOption.REPLACE_EXISTING);
        return moved;
    }

    @Test
    void a_click_opensTheHead() {
        openHead(1, 2);
        assertThat(id("head-title").getText()).isEqualTo("Layer 1, head 2 (L2H3)");
        assertThat(browser.findElements(By.cssSelector("#maps figure"))).hasSize(1);
        assertThat(id("live").getDomProperty("textContent")).startsWith("Layer 1, head 2, L2H3: sink score");
    }

    @Test
    void b_sliders_moveLayerPassAndFrameBlock() throws Exception {
        id("slot").sendKeys(Keys.ARROW_RIGHT);
        until("the pass is step1", () -> id("slot-name").getText().equals("step1"));
        assertThat(browser.findElement(By.cssSelector("#maps b")).getText()).isEqualTo("frame logit, step1");
        id("block").sendKeys(Keys.HOME);
        until("the frame block is 0", () -> id("block-name").getText().equals("0 (frame 0)"));
        assertThat(id("token-note").getText()).startsWith("Mean logit of the queries of block0.step1");
        id("block").sendKeys(Keys.END);
        id("layer").sendKeys(Keys.END);
        until("the layer is 2", () -> id("head-title").getText().startsWith("Layer 2, head 2"));
        id("key").sendKeys(Keys.ARROW_RIGHT);
        until("the key frame is 1", () -> id("key-name").getText().equals("1"));
    }

    @Test
    void c_keys_moveTheHead() throws Exception {
        id("overview-grid").sendKeys(Keys.ARROW_LEFT);
        assertThat(id("head-title").getText()).startsWith("Layer 2, head 1");
        id("overview-grid").sendKeys(Keys.ARROW_DOWN);
        assertThat(id("head-title").getText()).startsWith("Layer 1, head 1");
        press("l");
        until("the head is 2", () -> id("head-title").getText().startsWith("Layer 1, head 2"));
        press("[");
        until("the pass is step0", () -> id("slot-name").getText().equals("step0"));
        press("m");
        until(
                "the measure is recency",
                () -> "recency"
                        .equals(browser.executeScript(
                                "return document.getElementById('measure').selectedOptions[0].textContent")));
        press("?");
        assertThat(id("help").getDomProperty("open")).isEqualTo("true");
        press(Keys.ESCAPE);
        WebElement map = browser.findElement(By.cssSelector("#maps svg"));
        map.sendKeys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT);
        assertThat(id("tip").getText()).startsWith("query frame 0, key frame 1\nmasked");
    }

    @Test
    void d_hover_showsTheValue() {
        WebElement map = browser.findElement(By.cssSelector("#maps svg"));
        new Actions(browser).scrollToElement(map).moveToElement(map, -60, 60).perform();
        assertThat(id("tip").isDisplayed()).isTrue();
        assertThat(id("tip").getText()).matches("query frame \\d, key frame \\d\n(frame logit -?\\d.*|masked)");
    }

    @Test
    void e_compare_showsBothRunsAndTheirDifference() {
        id("other").findElement(By.xpath("option[.='two']")).click();
        assertThat(browser.findElements(By.cssSelector("#maps b")))
                .extracting(WebElement::getText)
                .containsExactly("one", "two", "difference");
        assertThat(browser.findElements(By.cssSelector("#overview figure"))).hasSize(3);
        assertThat(id("provenance").getText()).contains("other");
        id("other").findElement(By.xpath("option[.='nothing']")).click();
        assertThat(browser.findElements(By.cssSelector("#maps figure"))).hasSize(1);
    }

    @Test
    void f_table_sortsByAnyMeasure_andOpensAHead() {
        WebElement title = browser.findElements(By.cssSelector("#heads th button")).stream()
                .filter(button -> button.getText().startsWith("entropy"))
                .findFirst()
                .orElseThrow();
        browser.executeScript("arguments[0].click()", title);
        int column = 0;
        List<WebElement> titles = browser.findElements(By.cssSelector("#heads th"));
        while (!"descending".equals(titles.get(column).getDomAttribute("aria-sort"))) {
            column++;
        }
        List<Double> values =
                browser.findElements(By.cssSelector("#heads tbody td:nth-child(" + (column + 1) + ")")).stream()
                        .map(cell -> Double.parseDouble(String.valueOf(cell.getDomProperty("textContent"))))
                        .toList();
        assertThat(values).hasSize(12).isSortedAccordingTo((a, b) -> Double.compare(b, a));
        WebElement row = browser.findElement(By.cssSelector("#heads tbody tr"));
        String name = row.findElement(By.tagName("td")).getText();
        row.click();
        assertThat(id("head-title").getText()).endsWith("(" + name + ")");
    }

    @Test
    void g_downloads_areWholeFiles() throws Exception {
        String svg = Files.readString(downloaded("#maps button[aria-label^=SVG]", ".svg"));
        assertThat(svg)
                .startsWith("<svg")
                .contains("query frame", "fill=\"#ffffff\"")
                .endsWith("</svg>");
        var image =
                ImageIO.read(downloaded("#maps button[aria-label^=PNG]", ".png").toFile());
        assertThat(image.getWidth()).isGreaterThan(900);
        List<String> csv = Files.readAllLines(downloaded("#maps button[aria-label^=CSV]", ".csv"));
        assertThat(csv.getFirst()).isEqualTo("query_frame,key_frame,frame logit");
        assertThat(csv).hasSize(1 + 1 + 3 * (4 + 7 + 10));
        List<String> heads = Files.readAllLines(downloaded("#heads-csv", ".csv"));
        assertThat(heads).hasSize(13);
        assertThat(heads.getFirst()).startsWith("label,layer,head,sink_score,");
    }

    @Test
    void h_page_fitsAPhone_inBothThemes() {
        // A window cannot be as narrow as a phone, so the browser emulates one.
        browser.executeCdpCommand(
                "Emulation.setDeviceMetricsOverride",
                Map.of("width", 390, "height", 844, "deviceScaleFactor", 2, "mobile", true));
        for (int i = 0; i < 2; i++) {
            id("theme").click();
            Object overflow = browser.executeScript(
                    "return document.documentElement.scrollWidth - document.documentElement.clientWidth");
            assertThat(((Number) overflow).intValue()).isLessThanOrEqualTo(0);
        }
        assertThat(browser.executeScript("return document.documentElement.clientWidth"))
                .isEqualTo(390L);
        browser.executeCdpCommand("Emulation.clearDeviceMetricsOverride", Map.of());
    }

    @Test
    void h_view_isInTheAddress_andComesBackFromIt() throws Exception {
        openHead(2, 1);
        id("rule").findElements(By.tagName("option")).getLast().click();
        browser.executeScript("document.querySelectorAll('#heads th button')[4].click()");
        String address = browser.getCurrentUrl();
        assertThat(address).contains("#run=0", "&layer=2&head=1&", "&sort=-");
        String sorted = id("heads").getText();

        openHead(0, 3);
        assertThat(browser.getCurrentUrl()).contains("&layer=0&head=3&");
        browser.get(address);
        until("the view is back", () -> id("head-title").getText().startsWith("Layer 2, head 1"));
        assertThat(id("heads").getText()).isEqualTo(sorted);

        browser.get("about:blank");
        browser.get(address);
        until("the report is drawn again", () -> !ready().isEmpty());
        assertThat(id("head-title").getText()).startsWith("Layer 2, head 1");
        assertThat(browser.getCurrentUrl()).isEqualTo(address);

        browser.get("about:blank");
        browser.get(page.toUri() + "#layer=9999&head=<img>&run=7&other=7&measure=-3&rule=99&slot=-1&sort=nothing");
        until("the report is drawn all the same", () -> !ready().isEmpty());
        assertThat(id("head-title").getText()).startsWith("Layer 0, head 0");
        assertThat(id("failure").isDisplayed()).isFalse();
    }

    @Test
    void k_upToFourRuns_areComparedAndComeBack() throws Exception {
        Path four = dir.resolve("four.html");
        List<SavedResult> runs = new ArrayList<>();
        try {
            for (int i = 0; i < 5; i++) {
                runs.add(SavedResult.open(
                        ResultFiles.made(dir.resolve("run" + i + ".safetensors"), 3, 4, 4, 2, 7 + i, "seed")));
            }
            Files.write(four, Report.write(runs, MeasureOptions.DEFAULT, RoleOptions.DEFAULT, "test"));
        } finally {
            runs.forEach(SavedResult::close);
        }
        browser.get(four.toUri().toString());
        until("the report is drawn", () -> !ready().isEmpty());
        for (int i = 1; i <= 3; i++) {
            id(i == 1 ? "other" : "other" + i)
                    .findElement(By.xpath("option[.='run" + i + "']"))
                    .click();
        }
        assertThat(browser.findElements(By.id("other4"))).isEmpty();
        List<String> titles = List.of(
                "run0", "run1", "run2", "run3", "difference to run1", "difference to run2", "difference to run3");
        assertThat(browser.findElements(By.cssSelector("#maps b")))
                .extracting(WebElement::getText)
                .isEqualTo(titles);
        assertThat(browser.findElements(By.cssSelector("#overview b")))
                .extracting(WebElement::getText)
                .isEqualTo(titles);

        String address = browser.getCurrentUrl();
        assertThat(address).contains("others=1.2.3");
        browser.get("about:blank");
        browser.get(address);
        until("the report is drawn again", () -> !ready().isEmpty());
        assertThat(browser.findElements(By.cssSelector("#maps figure"))).hasSize(7);
        id("other2").findElement(By.xpath("option[.='nothing']")).click();
        assertThat(browser.getCurrentUrl()).contains("others=1.3");
        browser.get(page.toUri().toString());
        until("the first report is back", () -> !ready().isEmpty());
    }

    @Test
    void l_filter_keepsTheHeadsThatAreMeant_andSaysWhatItDoesNotKnow() throws Exception {
        WebElement filter = id("filter");
        filter.sendKeys("layer:1-2 !L2H3");
        until("7 heads are left", () -> id("filter-note").getText().equals("7 of 12 heads"));
        assertThat(browser.findElements(By.cssSelector("#heads tbody tr"))).hasSize(7);
        assertThat(browser.findElements(By.cssSelector("#overview-grid [data-left-out]")))
                .hasSize(5);
        id("gallery").findElement(By.xpath("option[.='all heads']")).click();
        assertThat(browser.findElements(By.cssSelector("#gallery-grid button"))).hasSize(7);
        assertThat(browser.getCurrentUrl()).contains("filter=layer").contains("gallery=2");

        filter.clear();
        filter.sendKeys("entropy>0");
        until("a measure is understood", () -> id("filter-note").getText().endsWith("of 12 heads"));
        filter.clear();
        filter.sendKeys("nonsense");
        until("it says so", () -> id("filter-note").getText().startsWith("unknown role or measure \"nonsense\""));
        assertThat(filter.getDomAttribute("aria-invalid")).isEqualTo("true");
        assertThat(browser.findElements(By.cssSelector("#heads tbody tr"))).hasSize(12);
        filter.clear();
        filter.sendKeys(" ");
        until("all are back", () -> id("filter-note").getText().isEmpty());

        browser.findElement(By.cssSelector("#gallery-grid button[data-head='2:3']"))
                .click();
        assertThat(id("head-title").getText()).startsWith("Layer 2, head 3");
        id("gallery")
                .findElement(By.xpath("option[.='the heads of this layer']"))
                .click();
        assertThat(browser.findElements(By.cssSelector("#gallery-grid button"))).hasSize(4);
        assertThat(browser.findElements(By.cssSelector("#gallery-grid button[aria-current='true']")))
                .hasSize(1);
    }

    @Test
    void m_scale_changesColoursAndTheBarSaysHow() {
        String before = String.valueOf(id("maps").getDomProperty("innerHTML"));
        id("scale").findElement(By.xpath("option[.='98 % of the values']")).click();
        String after = String.valueOf(id("maps").getDomProperty("innerHTML"));
        assertThat(after).isNotEqualTo(before).contains("≥ ");
        id("scale").findElement(By.xpath("option[.='automatic']")).click();
        assertThat(String.valueOf(id("maps").getDomProperty("innerHTML")).replaceAll("masked\\d+", ""))
                .isEqualTo(before.replaceAll("masked\\d+", ""));
    }

    /** What is drawn on the frame, without the address that the picture has in this page alone. */
    private static String filmFrame() {
        return String.valueOf(id("film-frame").getDomProperty("innerHTML")).replaceAll("blob:[^\"]*", "");
    }

    @Test
    void j_film_playsShowsWhatAPointAttendsAndWhereATokenIsLookedFor_andComesBack() throws Exception {
        Path file = dir.resolve("film.safetensors");
        CommandLineRun extract = CommandLineRun.of(
                "extract",
                "--layer",
                1,
                "--head",
                "0-2",
                "--num-frames",
                4,
                "--attention",
                "both",
                "--what",
                "frame-logits,key-logits,query-mass",
                "--query",
                "2,3,4",
                "--output",
                file);
        assertThat(extract.exitCode()).as(extract.err()).isZero();
        Path frames = Files.createDirectory(dir.resolve("frames"));
        for (int i = 0; i < 13; i++) {
            BufferedImage picture = new BufferedImage(64, 64, BufferedImage.TYPE_INT_RGB);
            picture.setRGB(i, i, 0xffffff);
            ImageIO.write(
                    picture,
                    "png",
                    frames.resolve(String.format(Locale.ROOT, "%05d.png", i)).toFile());
        }
        Path film = dir.resolve("film.html");
        CommandLineRun report = CommandLineRun.of("report", file, "--video", frames, "--out", film);
        assertThat(report.out()).as(report.err()).contains("MB with the frames)");
        try {
            browser.get(film.toUri().toString());
            until("the report is drawn", () -> !ready().isEmpty());
            assertThat(browser.findElements(By.cssSelector("#film-strip button")))
                    .hasSize(4);

            WebElement map = browser.findElement(By.cssSelector("#maps svg"));
            new Actions(browser)
                    .scrollToElement(map)
                    .moveToElement(map, -60, 60)
                    .perform();
            assertThat(browser.findElements(By.cssSelector("#tip svg image"))).hasSize(1);
            assertThat(browser.findElements(By.cssSelector("#tip svg path"))).isNotEmpty();

            browser.executeScript("document.getElementById('play').scrollIntoView({block: 'center'})");
            id("play").click();
            until("the film plays", () -> !id("film-name").getText().equals("0"));
            id("play").click();
            assertThat(id("play").getText()).isEqualTo("Play");

            browser.findElement(By.cssSelector("#film-strip button[data-frame='2']"))
                    .click();
            assertThat(id("film-name").getText()).isEqualTo("2");
            assertThat(browser.findElements(By.cssSelector("#film-frame path"))).isEmpty();
            browser.findElement(By.cssSelector("#film-frame .point")).sendKeys(Keys.ENTER);
            assertThat(id("film-note").getText()).contains("frame 2, row 3, column 4");
            assertThat(browser.findElements(By.cssSelector("#film-strip button[data-frame='0'] path")))
                    .isNotEmpty();
            String pointMap = filmFrame();

            id("show")
                    .findElement(By.xpath("option[starts-with(., 'attention to a word')]"))
                    .click();
            browser.findElement(By.xpath("//div[@id='words']/button[.='token 1']"))
                    .click();
            assertThat(id("film-note").getText()).contains("\"token 1\" of the prompt");
            String wordMap = filmFrame();
            assertThat(wordMap).isNotEqualTo(pointMap).contains("<path");

            String address = browser.getCurrentUrl();
            assertThat(address).contains("film=2", "show=3", "word=1");
            browser.get("about:blank");
            browser.get(address);
            until("the report is drawn again", () -> !ready().isEmpty());
            assertThat(filmFrame()).isEqualTo(wordMap);

            browser.manage().window().setSize(new Dimension(500, 900));
            Object overflow = browser.executeScript(
                    "return document.documentElement.scrollWidth - document.documentElement.clientWidth");
            assertThat(((Number) overflow).intValue()).isLessThanOrEqualTo(0);
            Object requests = browser.executeScript("return performance.getEntriesByType('resource').map(e => e.name)"
                    + ".filter(name => !name.startsWith('blob:'))");
            assertThat((List<?>) requests).isEmpty();
        } finally {
            browser.manage().window().setSize(new Dimension(1300, 1000));
        }
    }

    @Test
    void i_nothing_wasInjectedRequestedOrComplainedAbout() {
        assertThat(browser.getTitle()).isEqualTo("Attention of one, two");
        assertThat(id("provenance").getDomProperty("textContent")).contains(EVIL);
        assertThat(browser.findElements(By.tagName("img"))).isEmpty();
        Object requests = browser.executeScript("return performance.getEntriesByType('resource').map(e => e.name)"
                + ".filter(name => !name.startsWith('blob:'))");
        assertThat((List<?>) requests).isEmpty();
        assertThat(browser.manage().logs().get(LogType.BROWSER).getAll()).isEmpty();
        assertThat(Double.parseDouble(ready()))
                .as("milliseconds until it was drawn")
                .isLessThan(10_000);
    }
}
