package wan.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The commands of the tutorials run, and print what stands there. */
class TutorialsTest {
    private static final Pattern BLOCK = Pattern.compile("```console\\n\\$ wan-attn (.*)\\n((?s:.*?))```");

    /** A processor with other vectors adds in another order; what is left of a number is how it is written. */
    private static final Pattern NUMBER = Pattern.compile("-?\\d+\\.\\d+(e[+-]\\d+)?");

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    @ParameterizedTest
    @CsvSource({"docs/tutorial.md, 4, report.html", "docs/guide/interventions.md, 5, curve.svg"})
    void commands_printWhatStandsThere(String tutorial, int count, String last) throws IOException {
        Matcher block = BLOCK.matcher(Files.readString(Path.of(tutorial)));
        int commands = 0;
        while (block.find()) {
            List<Object> words = new ArrayList<>();
            for (String word : block.group(1).split(" ", -1)) {
                words.add(word.matches("[a-z]+\\.(safetensors|json|svg|html)") ? folder.resolve(word) : word);
            }
            if (!words.getFirst().equals("plot") && !words.getFirst().equals("report")) {
                words.add(words.getFirst().equals("analyze") ? "--format=table" : "-q");
            }
            CommandLineRun run = CommandLineRun.of(words.toArray());
            assertThat(run.exitCode()).as(run.err()).isZero();
            List<String> printed = new ArrayList<>(lines(run.out().replace(folder + "/", "")));
            for (String line : lines(block.group(2))) {
                if (!line.equals("...")) {
                    assertThat(printed).as(block.group(1)).contains(line);
                    printed.subList(0, printed.indexOf(line) + 1).clear();
                }
            }
            commands++;
        }
        assertThat(commands).isEqualTo(count);
        assertThat(folder.resolve(last)).exists();
    }

    private static List<String> lines(String text) {
        return Arrays.stream(text.strip().split("\n", -1))
                .map(line -> NUMBER.matcher(line)
                        .replaceAll("N")
                        .replaceAll(" +", " ")
                        .strip())
                .toList();
    }
}
