package wan.app;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.AnnotatedElement;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import wan.app.guard.OutputKind;
import wan.app.guard.Reads;
import wan.app.guard.Writes;

/**
 * Every command with every pair of its file options equal, one of which is written: what the command line can say is asked of picocli,
 * so that a new option is covered by itself.
 */
@Tag("slow")
class FileGuardTest {
    /** What the placeholders of values that name files are called. */
    private static final Set<String> FILES = Set.of("FILE", "DIR", "PATH", "RESULT", "IN", "OUT");

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    private Path dir;

    /** One command and two of its options. */
    record Pair(CommandSpec command, ArgSpec written, ArgSpec other) {
        @Override
        public String toString() {
            return command.name() + " " + name(written) + " = " + name(other);
        }
    }

    /** The ways in which two names stand for one file. */
    enum Spelling {
        SAME {
            @Override
            Path of(Path file) {
                return file;
            }
        },
        DETOUR {
            @Override
            Path of(Path file) {
                return file.resolveSibling(".")
                        .resolve("../" + requireNonNull(file.getParent()).getFileName() + "/./" + file.getFileName());
            }
        },
        RELATIVE {
            @Override
            Path of(Path file) {
                return Path.of("").toAbsolutePath().relativize(file);
            }
        },
        LINK {
            @Override
            Path of(Path file) throws IOException {
                return Files.createSymbolicLink(file.resolveSibling("link.safetensors"), file.getFileName());
            }
        },
        LINK_TO_A_LINK {
            @Override
            Path of(Path file) throws IOException {
                return Files.createSymbolicLink(file.resolveSibling("further.safetensors"), LINK.of(file));
            }
        },
        LINKED_FOLDER {
            @Override
            Path of(Path file) throws IOException {
                Path folder = requireNonNull(file.getParent()).resolveSibling("linked");
                return Files.createSymbolicLink(folder, file.getParent()).resolve(file.getFileName());
            }
        },
        HARD_LINK {
            @Override
            Path of(Path file) throws IOException {
                return Files.createLink(file.resolveSibling("hard.safetensors"), file);
            }
        };

        abstract Path of(Path file) throws IOException;
    }

    private static String name(ArgSpec arg) {
        return arg instanceof OptionSpec option ? option.longestName() : arg.paramLabel();
    }

    private static Stream<CommandSpec> commands() {
        return Main.commandLine(new Failures(new PrintStream(System.err, true, StandardCharsets.UTF_8), false))
                .getSubcommands()
                .values()
                .stream()
                .map(command -> command.getCommandSpec());
    }

    private static boolean reads(ArgSpec arg) {
        return arg.userObject() instanceof AnnotatedElement field && field.isAnnotationPresent(Reads.class);
    }

    private static @Nullable OutputKind kind(ArgSpec arg) {
        Writes writes = arg.userObject() instanceof AnnotatedElement field ? field.getAnnotation(Writes.class) : null;
        return writes == null ? null : writes.value();
    }

    static Stream<Pair> pairs() {
        return commands()
                .flatMap(command -> command.args().stream()
                        .filter(written -> kind(written) != null)
                        .flatMap(written -> command.args().stream()
                                .filter(other -> !other.equals(written) && (reads(other) || kind(other) != null))
                                .map(other -> new Pair(command, written, other))));
    }

    @Test
    void everyOption_thatNamesAFile_saysWhatIsDoneWithIt() {
        List<String> silent = commands()
                .flatMap(command -> command.args().stream()
                        .filter(arg -> arg.type() == Path.class
                                || Arrays.asList(arg.auxiliaryTypes()).contains(Path.class)
                                || FILES.contains(arg.paramLabel()))
                        .filter(arg -> !reads(arg) && kind(arg) == null)
                        .map(arg -> command.name() + " " + name(arg)))
                .toList();
        assertThat(silent).isEmpty();
        assertThat(pairs()).hasSizeGreaterThan(40);
    }

    @Test
    void everyCommand_thatWrites_hasForce() {
        assertThat(commands()
                        .filter(command -> command.args().stream().anyMatch(arg -> kind(arg) != null))
                        .filter(command -> command.findOption("--force") == null))
                .isEmpty();
    }

    /** A name for what an option writes, so that the file given is the one that it would write. */
    private static Path named(OutputKind kind, Path file) {
        return kind == OutputKind.HEAD_FILES || kind == OutputKind.MODEL ? file.resolveSibling("") : file;
    }

    private static String writtenName(@Nullable OutputKind kind, @Nullable OutputKind other) {
        for (OutputKind each : new @Nullable OutputKind[] {kind, other}) {
            if (each == OutputKind.HEAD_FILES) {
                return "layer0_head0.pt";
            }
            if (each == OutputKind.MODEL) {
                return "config.json";
            }
        }
        return "input.safetensors";
    }

    @ParameterizedTest
    @MethodSource("pairs")
    void input_staysAsItIs_howeverTheOutputIsSpelled(Pair pair) throws IOException {
        for (Spelling spelling : Spelling.values()) {
            OutputKind kind = requireNonNull(kind(pair.written));
            boolean folder = kind == OutputKind.HEAD_FILES || kind == OutputKind.MODEL;
            if (folder && spelling != Spelling.SAME && spelling != Spelling.LINKED_FOLDER) {
                continue; // within a folder names are the command's
            }
            for (boolean forced : new boolean[] {true, false}) {
                Path home = Files.createDirectories(dir.resolve(spelling + "-" + forced));
                Path file = Files.writeString(
                        Files.createDirectories(home.resolve("own")).resolve(writtenName(kind, kind(pair.other))),
                        "the only copy");
                Path spelled = spelling.of(file);
                OutputKind otherKind = kind(pair.other);
                refusal(pair, named(kind, spelled), otherKind == null ? file : named(otherKind, file), forced);
                assertThat(file).hasContent("the only copy");
                assertThat(spelled).hasContent("the only copy");
            }
        }
    }

    /** Of two outputs neither need be there. */
    @ParameterizedTest
    @MethodSource("pairs")
    void outputs_thatWouldBecomeOneFile_areRefused(Pair pair) throws IOException {
        OutputKind kind = kind(pair.written);
        OutputKind other = kind(pair.other);
        if (other == null || kind == OutputKind.HEAD_FILES || other == OutputKind.HEAD_FILES) {
            return; // an input has to be there
        }
        Path file = dir.resolve("new.safetensors");
        Path link = Files.createSymbolicLink(dir.resolve("dangling.safetensors"), Path.of("new.safetensors"));
        for (Path spelled : List.of(file, link, dir.resolve("NEW.safetensors"))) {
            refusal(pair, spelled, file, true);
            assertThat(file).doesNotExist();
        }
    }

    private void refusal(Pair pair, Path written, Path other, boolean forced) {
        Map<Integer, String> positions = new TreeMap<>();
        List<String> line = new ArrayList<>(List.of(pair.command.name()));
        for (ArgSpec arg : pair.command.args()) {
            String value = arg.equals(pair.written)
                    ? written.toString()
                    : arg.equals(pair.other)
                            ? other.toString()
                            : dir.resolve("another").toString();
            if (arg instanceof OptionSpec option) {
                if (arg.equals(pair.written) || arg.equals(pair.other) || arg.required()) {
                    line.addAll(List.of(option.longestName(), value));
                }
            } else {
                positions.put(positions.size(), value);
            }
        }
        line.addAll(positions.values());
        if (forced) {
            line.add("--force");
        }
        CommandLineRun run = CommandLineRun.of(line.toArray());
        assertThat(run.exitCode()).as(line + ": " + run.err()).isEqualTo(2);
        assertThat(run.err()).as(line.toString()).containsAnyOf(": expected another file than ", " exists already");
        assertThat(run.err().lines()).hasSize(1);
        if (forced) {
            assertThat(run.err()).contains(": expected another file than ");
        }
    }

    static Stream<Pair> outputsAndInputs() {
        return pairs().filter(pair -> reads(pair.other));
    }

    /** What lies in a folder that is read may be read. */
    @ParameterizedTest
    @MethodSource("outputsAndInputs")
    void fileInAFolderThatIsRead_staysAsItIs(Pair pair) throws IOException {
        Path folder = Files.createDirectories(dir.resolve("model/transformer"));
        Path file = Files.writeString(folder.resolve(writtenName(kind(pair.written), null)), "the only copy");
        refusal(pair, named(requireNonNull(kind(pair.written)), file), dir.resolve("model"), true);
        assertThat(file).hasContent("the only copy");
    }

    /** Shards are named by their index, and a configuration lies beside its weights. */
    @ParameterizedTest
    @EnumSource(
            value = OutputKind.class,
            names = {"RESULT", "WEIGHTS", "EMBEDDINGS"})
    void filesThatGoWithAnInput_stayAsTheyAre(OutputKind kind) throws IOException {
        Path index = Files.writeString(dir.resolve("model.safetensors.index.json"), "{}");
        Path shard = Files.writeString(dir.resolve("model-00001-of-00002.safetensors"), "the only copy");
        Path config = Files.writeString(dir.resolve("config.json"), "the only copy");
        Stream<Pair> all = outputsAndInputs().filter(pair -> kind(pair.written) == kind);
        for (Pair pair : all.toList()) {
            for (Path file : List.of(shard, config)) {
                refusal(pair, file, index, true);
                assertThat(file).hasContent("the only copy");
            }
        }
    }

    static Stream<Pair> outputs() {
        return commands()
                .flatMap(command -> command.args().stream()
                        .filter(written -> kind(written) != null)
                        .map(written -> new Pair(command, written, written)));
    }

    @ParameterizedTest
    @MethodSource("outputs")
    void fileOfSomebodyElse_isNotReplaced_unasked(Pair pair) throws IOException {
        OutputKind kind = requireNonNull(kind(pair.written));
        for (String content : new String[] {"my notes", "", "PK\u0003\u0004", "<html></html>", "<svg></svg>", "{}"}) {
            if (kind == OutputKind.ROLES && content.isEmpty()) {
                continue; // nothing is lost
            }
            Path folder = Files.createDirectories(dir.resolve("out"));
            Path file = Files.writeString(folder.resolve(writtenName(kind, null)), content);
            refusal(pair, named(kind, file), file, false);
            assertThat(file).hasContent(content);
        }
    }

    @Test
    void shardsOfSomebodyElse_areNotReplaced_unasked() throws IOException {
        Path shard = Files.writeString(dir.resolve("new-00001-of-00002.safetensors"), "the only copy");
        CommandLineRun run = CommandLineRun.of("convert", dir.resolve("in.pt"), dir.resolve("new.safetensors"));
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains(shard + " exists already; --force replaces it");
    }
}
