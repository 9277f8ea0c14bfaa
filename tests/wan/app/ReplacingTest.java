package wan.app;

import static org.assertj.core.api.Assertions.assertThat;

import capture.analysis.ResultFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.text.SmallTextEncoder;

/** What a command wrote, the same command replaces; another does not. */
class ReplacingTest {
    private static final String EXTRACT = "extract --latent-size 4x4 --num-frames 1 -q ";

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    private static Path shared;

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    private Path dir;

    @BeforeAll
    static void makeInputs() throws IOException {
        ResultFiles.made(shared.resolve("run.safetensors"), 2, 4, 4, 2, 5, "a prompt");
        SmallTextEncoder.create(shared.resolve("encoder"));
    }

    private CommandLineRun run(String line) {
        List<String> words = new ArrayList<>();
        for (String word : line.split(" ", -1)) {
            words.add(word.replace("OUT", dir.toString()).replace("IN", shared.toString()));
        }
        return CommandLineRun.of(words.toArray());
    }

    private List<Path> written() throws IOException {
        try (Stream<Path> all = Files.walk(dir)) {
            return all.filter(Files::isRegularFile).sorted().toList();
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                EXTRACT + "-o OUT/a.safetensors",
                EXTRACT + "-o OUT/a.npz",
                EXTRACT + "-o OUT/a.pt",
                EXTRACT + "--layer 0-2 -o OUT/a.pt",
                EXTRACT + "-o OUT/a.safetensors --report OUT/a.html --save-latents OUT/b.safetensors",
                "report IN/run.safetensors -o OUT/a.html",
                "plot IN/run.safetensors -o OUT/a.svg",
                "plot IN/run.safetensors -o OUT/a.png",
                "analyze IN/run.safetensors -o OUT/a.txt",
                "analyze IN/run.safetensors -o OUT/a.csv --format csv",
                "analyze IN/run.safetensors -o OUT/a.json --format json",
                "analyze IN/run.safetensors --head-map OUT/a.json --head-files OUT/heads",
                "analyze IN/run.safetensors --roles head-forcing --roles-csv OUT/a.csv",
                "encode-prompt --model IN/encoder --no-cache --prompt cat --out OUT/a.safetensors",
            })
    void result_isReplaced_byTheSameCommand(String line) throws IOException {
        assertThat(run(line))
                .satisfies(first -> assertThat(first.exitCode()).as(first.err()).isZero());
        List<Path> files = written();
        assertThat(files).isNotEmpty();
        for (Path file : files) {
            Files.setLastModifiedTime(file, FileTime.fromMillis(0));
        }
        assertThat(run(line))
                .satisfies(again -> assertThat(again.exitCode()).as(again.err()).isZero());
        assertThat(written()).isEqualTo(files);
        for (Path file : files) {
            assertThat(Files.getLastModifiedTime(file).toMillis())
                    .as("%s", file)
                    .isPositive();
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "report IN/run.safetensors -o OUT/a.safetensors",
                "analyze IN/run.safetensors -o OUT/a.safetensors",
                "analyze IN/run.safetensors --head-map OUT/a.safetensors",
                "encode-prompt --model IN/encoder --no-cache --prompt cat --out OUT/a.safetensors",
            })
    void result_isNotReplaced_byAnotherCommand(String line) throws IOException {
        assertThat(run(EXTRACT + "-o OUT/a.safetensors").exitCode()).isZero();
        byte[] before = Files.readAllBytes(dir.resolve("a.safetensors"));
        CommandLineRun run = run(line);
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains("a.safetensors exists already and was not written by wan-attn ");
        assertThat(dir.resolve("a.safetensors")).hasBinaryContent(before);
    }

    @Test
    void torchFileOfSomebodyElse_isNotReplaced_thoughItHasTheSameKeys() throws IOException {
        Path theirs = Path.of("tests/goldens/checkpoints/layer3.pt");
        Path file = Files.copy(theirs, dir.resolve("layer3.pt"));
        assertThat(run(EXTRACT + "--layer 3 -o OUT/layer3.pt").exitCode()).isEqualTo(2);
        assertThat(file).hasSameBinaryContentAs(theirs);
        assertThat(run(EXTRACT + "--layer 3 -o OUT/layer3.pt --force").exitCode())
                .isZero();
        assertThat(run(EXTRACT + "--layer 3 -o OUT/layer3.pt").exitCode()).isZero();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                EXTRACT + "-o OUT/link.safetensors",
                "report IN/run.safetensors -o OUT/link.safetensors",
                "analyze IN/run.safetensors -o OUT/link.safetensors",
                "encode-prompt --model IN/encoder --no-cache --prompt cat --out OUT/link.safetensors",
            })
    void linkThatLeadsNowhereYet_staysALink(String line) throws IOException {
        Path link = Files.createSymbolicLink(dir.resolve("link.safetensors"), Path.of("further.safetensors"));
        Files.createSymbolicLink(
                dir.resolve("further.safetensors"),
                Files.createDirectory(dir.resolve("disk")).resolve("real.out"));
        assertThat(run(line))
                .satisfies(run -> assertThat(run.exitCode()).as(run.err()).isZero());
        assertThat(link).isSymbolicLink();
        assertThat(dir.resolve("disk/real.out")).isNotEmptyFile();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                EXTRACT + "-o OUT/a.out.safetensors",
                "report IN/run.safetensors -o OUT/a.out.safetensors",
            })
    void permissions_stayAsTheyWere(String line) throws IOException {
        assertThat(run(line).exitCode()).isZero();
        Path file = dir.resolve("a.out.safetensors");
        Set<PosixFilePermission> own = PosixFilePermissions.fromString("rw-r-----");
        Files.setPosixFilePermissions(file, own);
        assertThat(run(line).exitCode()).isZero();
        assertThat(Files.getPosixFilePermissions(file)).isEqualTo(own);

        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("r--r--r--"));
        byte[] before = Files.readAllBytes(file);
        assertThat(run(line + " --force")).satisfies(run -> {
            assertThat(run.exitCode()).isEqualTo(1);
            assertThat(run.err()).contains("a.out.safetensors: cannot write: may only be read");
        });
        assertThat(file).hasBinaryContent(before);
    }

    @Test
    void circleOfLinks_isNamed() throws IOException {
        Files.createSymbolicLink(dir.resolve("a.html"), Path.of("b.html"));
        Files.createSymbolicLink(dir.resolve("b.html"), Path.of("a.html"));
        assertThat(run("report IN/run.safetensors -o OUT/a.html").err())
                .isEqualTo("wan-attn: " + dir.resolve("a.html")
                        + ": cannot write: is a link that leads nowhere but to links\n");
    }
}
