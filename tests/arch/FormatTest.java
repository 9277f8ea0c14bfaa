package arch;

import static org.assertj.core.api.Assertions.assertThat;

import com.palantir.javaformat.java.Formatter;
import com.palantir.javaformat.java.ImportOrderer;
import com.palantir.javaformat.java.JavaFormatterOptions;
import com.palantir.javaformat.java.JavaFormatterOptions.Style;
import com.palantir.javaformat.java.RemoveUnusedImports;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Holds the format of every source file. It is a test because spotless formats inside Maven's own JVM, and an older one does
 * not parse Java 25; the tests run on the right JDK wherever Maven does. {@code mvn spotless:apply} remains the writer.
 */
class FormatTest {
    private static final Formatter FORMATTER = Formatter.createFormatter(
            JavaFormatterOptions.builder().style(Style.PALANTIR).build());

    private static boolean isFormatted(String source) throws Exception {
        // The steps of spotless, in its order.
        String imports = RemoveUnusedImports.removeUnusedImports(ImportOrderer.reorderImports(source, Style.PALANTIR));
        return FORMATTER.formatSource(imports).equals(source);
    }

    @Test
    void sources_areFormatted() throws Exception {
        List<Path> sources = new ArrayList<>();
        for (String root : List.of("src", "tests", "tornado", "bench/src", "spark")) {
            if (Files.isDirectory(Path.of(root))) {
                try (Stream<Path> files = Files.walk(Path.of(root))) {
                    files.filter(file -> file.toString().endsWith(".java")).forEach(sources::add);
                }
            }
        }
        assertThat(sources).contains(Path.of("tests", "arch", "FormatTest.java"));
        List<Path> differing = new ArrayList<>();
        for (Path source : sources) {
            if (!isFormatted(Files.readString(source))) {
                differing.add(source);
            }
        }
        assertThat(differing)
                .as("files to format with: JAVA_HOME=<a JDK 25> mvn spotless:apply")
                .isEmpty();
    }

    @Test
    void isFormatted_isFalse_whenIndentationOrImportsAreOff() throws Exception {
        String good = "import java.util.List;\n\nclass A {\n    List<String> b;\n}\n";
        assertThat(isFormatted(good)).isTrue();
        assertThat(isFormatted(good.replace("    ", "  "))).isFalse();
        assertThat(isFormatted("import java.util.Map;\n" + good)).isFalse();
    }
}
