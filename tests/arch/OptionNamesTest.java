package arch;

import static org.assertj.core.api.Assertions.assertThat;

import arch.bad.wan.model.Layer;
import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.constantpool.PoolEntry;
import java.lang.classfile.constantpool.StringEntry;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import wan.op.Ops;

/** Only the command line speaks of its options: the library names fields, which {@code OptionNames} maps to options. */
class OptionNamesTest {
    /** Java's own are not ours. */
    private static final Pattern OPTION = Pattern.compile("(?<![\\w-])--(?!add-modules\\b)[a-z]");

    @Test
    void library_namesNoOption() throws IOException, URISyntaxException {
        Path root = Path.of(
                Ops.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        List<String> found = new ArrayList<>();
        try (Stream<Path> files = Files.walk(root)) {
            for (Path file :
                    files.filter(path -> path.toString().endsWith(".class")).toList()) {
                String name = root.relativize(file).toString().replace('\\', '/');
                if (!name.startsWith("wan/app/") && !name.startsWith("wan/launch/") && !name.startsWith("uk/")) {
                    options(Files.readAllBytes(file)).forEach(text -> found.add(name + ": " + text));
                }
            }
        }
        assertThat(found).isEmpty();
    }

    @Test
    void rule_isBroken_byTheFixture() throws IOException, URISyntaxException {
        Path root = Path.of(
                Layer.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        assertThat(options(Files.readAllBytes(root.resolve("arch/bad/wan/model/Layer.class"))))
                .isNotEmpty();
    }

    private static List<String> options(byte[] classFile) {
        List<String> found = new ArrayList<>();
        for (PoolEntry entry : ClassFile.of().parse(classFile).constantPool()) {
            if (entry instanceof StringEntry string
                    && OPTION.matcher(string.stringValue()).find()) {
                found.add(string.stringValue());
            }
        }
        return found;
    }
}
