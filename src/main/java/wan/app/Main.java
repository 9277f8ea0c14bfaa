package wan.app;

import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.UsageMessageSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;
import wan.app.command.AblateCommand;
import wan.app.command.AnalyzeCommand;
import wan.app.command.BenchCommand;
import wan.app.command.CompareCommand;
import wan.app.command.CompletionCommand;
import wan.app.command.ConvertCommand;
import wan.app.command.DecodeCommand;
import wan.app.command.DevicesCommand;
import wan.app.command.EncodeCommand;
import wan.app.command.EncodePromptCommand;
import wan.app.command.ExtractCommand;
import wan.app.command.InspectCommand;
import wan.app.command.MakeModelCommand;
import wan.app.command.PlotCommand;
import wan.app.command.PresetsCommand;
import wan.app.command.QueryCommand;
import wan.app.command.ReportCommand;
import wan.app.command.SelftestCommand;
import wan.app.command.SweepCommand;
import wan.app.command.TokenizeCommand;
import wan.app.guard.FileGuard;
import wan.app.terminal.Cancellation;
import wan.app.terminal.Stdout;
import wan.file.TemporaryFile;
import wan.run.Program;

/**
 * The root of the command line: {@code wan-attn COMMAND ...}.
 *
 * <p>Exit codes: 0 done, 1 failed, 2 bad usage, 128 + n ended by signal n. Results go to stdout, diagnostics to stderr.
 */
@Command(
        name = "wan-attn",
        description = "Runs the causal Wan2.1 (Self-Forcing) video model and captures its attention logits.",
        versionProvider = Main.Version.class,
        usageHelpAutoWidth = true,
        synopsisSubcommandLabel = "COMMAND",
        footer = {
            "",
            "Environment:",
            "  WAN_ATTN_JAVA       the JDK to run on, as --java",
            "  WAN_ATTN_JAVA_OPTS  additional JVM flags, separated by spaces",
            "  WAN_ATTN_CACHE      folder for prompt embeddings and measured device speeds",
            "                      (default: ~/.cache/wan-attn)",
            "  TORNADOVM_HOME      a TornadoVM SDK, for --device tornado",
            "",
            "Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted (captures are",
            "kept)."
        })
public final class Main implements Callable<Integer> {
    static final String STACKTRACE = "--stacktrace";
    private static final int MOST_IN_SYNOPSIS = 12;

    /** The commands, in the order of the help. */
    private static final List<Map.Entry<String, Class<?>>> COMMANDS = List.of(
            Map.entry("extract", ExtractCommand.class),
            Map.entry("sweep", SweepCommand.class),
            Map.entry("query", QueryCommand.class),
            Map.entry("ablate", AblateCommand.class),
            Map.entry("analyze", AnalyzeCommand.class),
            Map.entry("compare", CompareCommand.class),
            Map.entry("plot", PlotCommand.class),
            Map.entry("report", ReportCommand.class),
            Map.entry("inspect", InspectCommand.class),
            Map.entry("convert", ConvertCommand.class),
            Map.entry("tokenize", TokenizeCommand.class),
            Map.entry("encode-prompt", EncodePromptCommand.class),
            Map.entry("decode", DecodeCommand.class),
            Map.entry("encode", EncodeCommand.class),
            Map.entry("make-model", MakeModelCommand.class),
            Map.entry("presets", PresetsCommand.class),
            Map.entry("devices", DevicesCommand.class),
            Map.entry("selftest", SelftestCommand.class),
            Map.entry("bench", BenchCommand.class),
            Map.entry("completion", CompletionCommand.class),
            Map.entry("help", CommandLine.HelpCommand.class));

    /** Those that tell of the others. */
    private static final Set<String> ABOUT_COMMANDS = Set.of("completion", "help");

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private CommandSpec spec;

    @Option(names = STACKTRACE, scope = ScopeType.INHERIT, description = "Print the Java stack trace of an error.")
    @SuppressWarnings("UnusedVariable") // stands here for the help; run() looks for it before anything is parsed
    private boolean stacktrace;

    @Option(
            names = "--java",
            paramLabel = "PATH",
            description = "JDK 25 or newer to run on (its home folder, or its java). May stand anywhere on the line.")
    @SuppressWarnings("UnusedVariable") // stands here for the help; wan.launch takes it
    private String java = "";

    @Option(
            names = "--heap",
            paramLabel = "SIZE",
            description = "Maximum Java heap, such as 20g or 60%% of memory (default: 75%%). Memory-mapped weights are"
                    + " outside the heap. May stand anywhere on the line.")
    @SuppressWarnings("UnusedVariable") // stands here for the help; wan.launch takes it
    private String heap = "";

    private Main() {}

    /**
     * Runs one command and ends the JVM with its exit code.
     *
     * @param args the command line
     */
    public static void main(String[] args) {
        if (Boolean.getBoolean("wan.launched")) {
            // A launcher that was killed outright could not pass that on.
            ProcessHandle.current().parent().ifPresent(Main::endWith);
        }
        String[] decoded = args;
        if (Boolean.getBoolean("wan.args.encoded")) {
            decoded = Arrays.stream(args)
                    .map(arg -> URLDecoder.decode(arg, StandardCharsets.UTF_8))
                    .toArray(String[]::new);
        }
        Locale.setDefault(Locale.ROOT); // for the libraries, such as the one that writes the help
        Runtime.getRuntime().addShutdownHook(new Thread(Main::removeUnfinished, "unfinished files"));
        Stdout stdout = Stdout.install();
        int exitCode = run(decoded);
        System.exit(stdout.finish() || exitCode != 0 ? exitCode : 1);
    }

    @SuppressWarnings("FutureReturnValueIgnored") // nothing waits for it
    private static void endWith(ProcessHandle launcher) {
        launcher.onExit().thenRun(() -> System.exit(Failures.FAILED));
    }

    /** What is half written when the user stops a command goes, as it would if the command failed. */
    private static void removeUnfinished() {
        try {
            Cancellation.awaitAll();
            TemporaryFile.removeAll();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Runs one command on the present System.out and System.err, and returns its exit code. */
    public static int run(String... args) {
        Failures failures = new Failures(System.err, List.of(args).contains(STACKTRACE));
        try {
            return commandLine(failures, args).execute(args);
        } catch (Throwable e) { // picocli passes on what is not an Exception
            return failures.report(e);
        }
    }

    /**
     * Runs a command that is a program of its own, in another jar, as if it were one of these.
     *
     * @param command with picocli's annotations
     */
    public static int runAlone(Callable<Integer> command, String... args) {
        Failures failures = new Failures(System.err, List.of(args).contains(STACKTRACE));
        try {
            CommandLine root = new CommandLine(command);
            root.getCommandSpec()
                    .addOption(CommandLine.Model.OptionSpec.builder(STACKTRACE)
                            .description("Print the Java stack trace of an error.")
                            .build());
            return parsing(root, failures).execute(args);
        } catch (Throwable e) { // picocli passes on what is not an Exception
            return failures.report(e);
        }
    }

    /** The whole command line, for documents about it. */
    public static CommandLine commandLine() {
        return commandLine(new Failures(System.err, false));
    }

    /**
     * The command line, as it is parsed, documented and completed.
     *
     * @param args what will be parsed. Behind the name of a command picocli needs to know no other, and learning all of them takes it a
     *     fifth of a second.
     */
    static CommandLine commandLine(Failures failures, String... args) {
        CommandLine root = new CommandLine(new Main());
        String first = args.length == 0 || ABOUT_COMMANDS.contains(args[0]) ? "" : args[0];
        boolean named = COMMANDS.stream().anyMatch(command -> command.getKey().equals(first));
        for (Map.Entry<String, Class<?>> command : COMMANDS) {
            if (!named || command.getKey().equals(first)) {
                root.addSubcommand(command.getKey(), command.getValue());
            }
        }
        for (CommandLine command : root.getSubcommands().values()) {
            CommandSpec one = command.getCommandSpec();
            if (one.helpCommand()) {
                one.usageMessage()
                        .header(new String[0])
                        .synopsisHeading("Usage: ")
                        .description("Prints the help of a command, or of the whole program.");
            } else {
                one.mixinStandardHelpOptions(true).versionProvider(new Version());
                // The options follow in groups: a synopsis of twenty lines says nothing more.
                one.usageMessage().abbreviateSynopsis(one.options().size() > MOST_IN_SYNOPSIS);
            }
        }
        return parsing(root, failures);
    }

    /** How a command line is parsed, and how what goes wrong is told. */
    private static CommandLine parsing(CommandLine root, Failures failures) {
        root.getCommandSpec().mixinStandardHelpOptions(true).versionProvider(new Version());
        CommandLine.IExecutionStrategy last = new CommandLine.RunLast();
        root.setExecutionStrategy(parsed -> {
            Integer helped = CommandLine.executeHelpRequest(parsed);
            if (helped != null) {
                return helped;
            }
            try {
                FileGuard.check(parsed);
            } catch (RuntimeException e) {
                return failures.report(e);
            }
            return last.execute(parsed);
        });
        root.registerConverter(Path.class, Main::path);
        root.setExpandAtFiles(false); // a prompt may begin with @
        root.setCaseInsensitiveEnumValuesAllowed(true);
        root.setUsageHelpAutoWidth(true);
        Map<String, CommandLine.IHelpSectionRenderer> sections = new HashMap<>(root.getHelpSectionMap());
        sections.put(UsageMessageSpec.SECTION_KEY_OPTION_LIST, new OptionGroups());
        sections.put(
                UsageMessageSpec.SECTION_KEY_PARAMETER_LIST,
                help -> help.parameterList(HelpLayout.table(help), help.parameterLabelRenderer()));
        sections.put(
                UsageMessageSpec.SECTION_KEY_DESCRIPTION,
                help -> HelpLayout.text(help, help.commandSpec().usageMessage().description()));
        sections.put(
                UsageMessageSpec.SECTION_KEY_FOOTER,
                help -> HelpLayout.text(help, help.commandSpec().usageMessage().footer()));
        root.setHelpSectionMap(sections);
        root.setParameterExceptionHandler((e, given) -> failures.reportUsage(e));
        root.setExecutionExceptionHandler((e, command, result) -> failures.report(e));
        return root;
    }

    /** An empty name would mean the working folder; it is nearly always a shell variable that is not set. */
    private static Path path(String text) {
        if (text.isEmpty()) {
            throw new TypeConversionException("expected a path, got an empty one; an unset variable?");
        }
        return Path.of(text);
    }

    @Override
    public Integer call() {
        throw new ParameterException(
                spec.commandLine(),
                "expected a command: " + String.join(", ", spec.subcommands().keySet()));
    }

    /** The version in the jar's manifest, and the Java that runs it. */
    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {
                Program.NAME + " " + Program.version(),
                "Java " + Runtime.version() + " in " + System.getProperty("java.home")
            };
        }
    }
}
