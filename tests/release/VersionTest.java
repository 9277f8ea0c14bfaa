package release;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The version is what pom.xml says; whatever else names it must agree. */
class VersionTest {
    private static final Pattern OURS = Pattern.compile("wan[-_]attn-(\\d+\\.\\d+\\.\\d+)");

    static String version() throws IOException {
        return first("pom.xml", "(?m)^  <version>(.+)</version>$");
    }

    private static String first(String file, String pattern) throws IOException {
        Matcher matcher = Pattern.compile(pattern).matcher(Files.readString(Path.of(file)));
        assertThat(matcher.find()).as(file + " says a version").isTrue();
        return matcher.group(1);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "CITATION.cff|(?m)^version: (.+)$",
                "python/pyproject.toml|(?m)^version = \"(.+)\"$",
                "CHANGELOG.md|(?m)^## (\\d\\S*)",
                "bench/pom.xml|(?m)^  <version>(.+)</version>$",
                "bench/pom.xml|<artifactId>wan-attn</artifactId>\\s*<version>(.+)</version>",
            })
    void everyFile_saysThePomsVersion(String file, String pattern) throws IOException {
        assertThat(first(file, pattern)).isEqualTo(version());
    }

    @Test
    void documents_nameFilesOfThisVersion() throws IOException {
        List<String> others = new ArrayList<>();
        try (var all = Files.walk(Path.of("docs"))) {
            List<Path> files = new ArrayList<>(
                    all.filter(file -> file.toString().endsWith(".md")).toList());
            files.addAll(List.of(Path.of("README.md"), Path.of("python/README.md"), Path.of("CONTRIBUTING.md")));
            for (Path file : files) {
                OURS.matcher(Files.readString(file))
                        .results()
                        .filter(found -> !found.group(1).equals(assertVersion()))
                        .forEach(found -> others.add(file + ": " + found.group()));
            }
        }
        assertThat(others).isEmpty();
    }

    private static String assertVersion() {
        try {
            return version();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }
}
