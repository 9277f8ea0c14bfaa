package release;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SiteTest {
    @TempDir
    static Path site;

    @BeforeAll
    static void write() throws IOException {
        Site.write(Path.of(""), site);
    }

    @Test
    void everyLink_leadsSomewhere() throws IOException {
        assertThat(Site.brokenLinks(site)).isEmpty();
    }

    @Test
    void everyDocument_isAPage() throws IOException {
        try (var all = Files.walk(Path.of("docs"))) {
            List<Path> missing = all.filter(file -> file.toString().endsWith(".md"))
                    .filter(file -> !Files.exists(site.resolve(file.toString().replace(".md", ".html"))))
                    .toList();
            assertThat(missing)
                    .as("documents that docs/index.md does not lead to")
                    .isEmpty();
        }
    }

    @Test
    void brokenLinks_areFound(@TempDir Path other) throws IOException {
        Files.createDirectories(other.resolve("docs"));
        Files.writeString(
                other.resolve("docs/index.md"),
                "# A\n\n## Reference\n\n[a](#a) [b](#b) [c](nowhere.md) [d](d.md) [e](d.md#x) [f](d.md#d)\n");
        Files.writeString(other.resolve("docs/d.md"), "# D\n");
        Path out = other.resolve("out");
        Site.write(other, out);
        assertThat(Site.brokenLinks(out))
                .containsExactlyInAnyOrder(
                        "docs/index.html: #b", "docs/index.html: nowhere.md", "docs/index.html: d.html#x");
    }

    @Test
    void pages_haveTheNavigationAndTables_andLoadNothing() throws IOException {
        String page = Files.readString(site.resolve("docs/RESULT-FORMAT.html"));
        assertThat(page)
                .contains(
                        "<h2>Tutorial</h2>",
                        "<table>",
                        "aria-current=\"page\"",
                        "href=\"../tests/goldens/README.html\"")
                .doesNotContain("<script", "<link");
        assertThat(Files.readString(site.resolve("docs/options.html")))
                .contains("<h2 id=\"extract\">", "--layer", "Usage: wan-attn plot");
    }
}
