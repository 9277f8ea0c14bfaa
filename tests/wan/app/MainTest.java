package wan.app;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import wan.op.FormatException;
import wan.op.UsageException;
import wan.op.WanException;

class MainTest {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private final CommandLine line = Main.commandLine(failures(false)).setOut(new PrintWriter(out, true, UTF_8));

    private Failures failures(boolean stacktrace) {
        return new Failures(new PrintStream(err, true, UTF_8), stacktrace);
    }

    /** A command that fails as it is told. */
    @Command(name = "fail", mixinStandardHelpOptions = true)
    private static final class FailCommand implements Callable<Integer> {
        private final Exception failure;

        @Option(names = "--layer", required = true)
        private int layer;

        FailCommand(Exception failure) {
            this.failure = failure;
        }

        @Override
        public Integer call() throws Exception {
            assertThat(layer).isEqualTo(3);
            throw failure;
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "completio | unknown command 'completio'; did you mean completion? See wan-attn --help",
                "--stacktarce | unknown option '--stacktarce'; did you mean --stacktrace? See wan-attn --help",
                "completion --verison | unknown option '--verison'; did you mean --version? See wan-attn completion --help",
                "completion more | unexpected value 'more'; see wan-attn completion --help",
                "fail | missing required option: '--layer=<layer>'; see wan-attn fail --help",
                "fail --layer x | invalid value for option '--layer': 'x' is not an int; see wan-attn fail --help",
            })
    void execute_exitsWith2AndOneLine_whenTheCommandLineIsWrong(String args, String message) {
        line.addSubcommand(new FailCommand(new IllegalStateException("not reached")));
        assertThat(line.execute(args.split(" "))).isEqualTo(2);
        assertThat(err.toString(UTF_8)).isEqualTo("wan-attn: " + message + "\n");
        assertThat(out.size()).isZero();
    }

    @Test
    void commandLine_knowsOneCommand_whereItIsNamedFirst() {
        assertThat(line.getSubcommands()).hasSizeGreaterThan(20).allSatisfy((name, command) -> {
            Command annotation =
                    command.getCommandSpec().userObject().getClass().getAnnotation(Command.class);
            assertThat(annotation.name()).isEqualTo(name);
            boolean toldOfAll = name.equals("completion") || name.equals("help");
            assertThat(Main.commandLine(failures(false), name, "--layer")
                            .getSubcommands()
                            .keySet())
                    .isEqualTo(toldOfAll ? line.getSubcommands().keySet() : Set.of(name));
        });
    }

    @Test
    void execute_namesTheCommands_whenThereIsNone() {
        assertThat(line.execute()).isEqualTo(2);
        assertThat(err.toString(UTF_8))
                .startsWith("wan-attn: expected a command: ")
                .contains("completion")
                .hasLineCount(1);
    }

    @Test
    void emptyPath_isRefused_byEveryOptionThatTakesOne() {
        line.getSubcommands()
                .forEach((name, command) -> command.getCommandSpec().options().stream()
                        .filter(option -> option.type() == Path.class
                                || Arrays.asList(option.auxiliaryTypes()).contains(Path.class))
                        .filter(option -> option.paramLabel().indexOf('=') < 0)
                        .forEach(option -> {
                            err.reset();
                            assertThat(line.execute(name, option.longestName(), ""))
                                    .isEqualTo(2);
                            assertThat(err.toString(UTF_8))
                                    .contains(option.longestName(), "expected a path, got an empty one")
                                    .hasLineCount(1);
                        }));
    }

    private static Stream<Arguments> failures() {
        return Stream.of(
                Arguments.of(
                        new WanException("linear w: expected [2, 3], got [3, 2]"),
                        1,
                        "linear w: expected [2, 3], got [3, 2]"),
                Arguments.of(new FormatException("a.pt", "truncated\nat 12"), 1, "a.pt: truncated at 12"),
                Arguments.of(new UsageException("--layer 40: expected 0 to 29"), 2, "--layer 40: expected 0 to 29"),
                Arguments.of(new ExecutionException(new WanException("inside")), 1, "inside"),
                Arguments.of(new NoSuchFileException("w.pt"), 1, "w.pt: no such file or folder"),
                Arguments.of(new UncheckedIOException(new AccessDeniedException("w.pt")), 1, "w.pt: permission denied"),
                Arguments.of(
                        new FileSystemException("out", null, "No space left on device"),
                        1,
                        "out: No space left on device"),
                Arguments.of(new IOException("No space left on device"), 1, "No space left on device"),
                Arguments.of(new FileNotFoundException("f (Is a directory)"), 1, "f (Is a directory)"));
    }

    @ParameterizedTest
    @MethodSource
    void failures(Exception failure, int exitCode, String message) {
        line.addSubcommand(new FailCommand(failure));
        assertThat(line.execute("fail", "--layer", "3")).isEqualTo(exitCode);
        assertThat(err.toString(UTF_8)).isEqualTo("wan-attn: " + message + "\n");
    }

    @Test
    void report_namesOurHeapOption_whenMemoryRunsOut() {
        assertThat(failures(false).report(new OutOfMemoryError("Java heap space")))
                .isEqualTo(1);
        assertThat(err.toString(UTF_8))
                .matches(
                        "wan-attn: out of memory \\(Java heap space\\): [0-9.]+ of at most [0-9.]+ GiB of Java heap in use;"
                                + " allow more with --heap SIZE\n");
    }

    @Test
    void report_showsTheTrace_whenTheFailureIsOurs() {
        assertThat(failures(false).report(new IllegalStateException("a bug"))).isEqualTo(1);
        assertThat(err.toString(UTF_8))
                .startsWith("wan-attn: internal error, please report it")
                .contains("IllegalStateException: a bug")
                .contains("at wan.app.MainTest");
    }

    @Test
    void report_showsTheTrace_whenAskedTo() {
        assertThat(failures(true).report(new WanException("known"))).isEqualTo(1);
        assertThat(err.toString(UTF_8)).startsWith("wan-attn: known\n").contains("at wan.app.MainTest");
    }

    @Test
    void execute_takesStacktrace_behindTheCommandToo() {
        assertThat(line.execute("completion", "--stacktrace")).isZero();
    }

    @Test
    void help_isThereForEveryCommand() {
        assertThat(line.execute("--help")).isZero();
        assertThat(out.toString(UTF_8)).contains("--heap", "--java", "--stacktrace", "WAN_ATTN_JAVA", "Exit codes");
        for (Map.Entry<String, CommandLine> command : line.getSubcommands().entrySet()) {
            out.reset();
            assertThat(line.execute(command.getKey(), "--help")).isZero();
            assertThat(out.toString(UTF_8)).startsWith("Usage: wan-attn " + command.getKey());
            assertThat(command.getValue().getCommandSpec().usageMessage().description())
                    .as("what %s is for", command.getKey())
                    .isNotEmpty();
        }
    }

    @Test
    void help_fitsEightyColumns_andBreaksNoWord() {
        for (CommandLine command : line.getSubcommands().values()) {
            if (command.getCommandSpec().helpCommand()) {
                continue; // picocli's own
            }
            CommandSpec spec = command.getCommandSpec();
            spec.usageMessage().autoWidth(false);
            String help = command.getUsageMessage(CommandLine.Help.Ansi.OFF);
            Set<String> words = new HashSet<>(Arrays.asList(help.strip().split("\\s+")));
            assertThat(help.lines()).as(spec.name()).allMatch(text -> text.length() <= 80);
            assertThat(Stream.concat(
                                    Stream.of(
                                            spec.usageMessage().description(),
                                            spec.usageMessage().footer()),
                                    spec.args().stream()
                                            .filter(arg -> !arg.hidden())
                                            .map(ArgSpec::description))
                            .flatMap(Arrays::stream)
                            .filter(text -> !text.contains("${"))
                            .flatMap(text -> Arrays.stream(
                                    text.replace("%%", "%").strip().split("\\s+"))))
                    .as(spec.name())
                    .allMatch(word -> word.isEmpty() || words.contains(word));
        }
    }

    @Test
    void outputFile_isNamedAlikeInEveryCommand() {
        assertThat(line.getSubcommands().values())
                .extracting(command -> command.getCommandSpec().findOption("--output"))
                .filteredOn(Objects::nonNull)
                .hasSize(11)
                .allSatisfy(option -> assertThat(option.names()).contains("-o", "--out"));
    }

    @Test
    void version_isNotAFailure_whenNotPackaged() {
        assertThat(line.execute("--version")).isZero();
        assertThat(out.toString(UTF_8)).startsWith("wan-attn (not packaged)\nJava " + Runtime.version());
    }

    @Test
    void completion_isAScriptThatBashTakes() throws Exception {
        assertThat(line.execute("completion")).isZero();
        Process bash =
                new ProcessBuilder("bash", "-n").redirectErrorStream(true).start();
        bash.getOutputStream().write(out.toByteArray());
        bash.getOutputStream().close();
        assertThat(new String(bash.getInputStream().readAllBytes(), UTF_8)).isEmpty();
        assertThat(bash.waitFor()).isZero();
        assertThat(out.toString(UTF_8)).contains("complete -F _complete_wan-attn -o default wan-attn");
    }
}
