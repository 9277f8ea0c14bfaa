package wan.app.guard;

import java.io.IOException;
import java.lang.reflect.AnnotatedElement;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParseResult;
import wan.op.UsageException;

/**
 * Checks what a command reads and writes before it runs, so that a mistake on the command line never costs a file: no input and
 * no other output is overwritten, and an existing file is replaced only if this command wrote it or if the user gives {@code
 * --force}.
 *
 * <p>Options declare with {@link Reads} and {@link Writes} what they name; a test finds options that do not.
 */
public final class FileGuard {
    private final CommandSpec command;
    private final List<Input> inputs = new ArrayList<>();
    private final List<Output> outputs = new ArrayList<>();

    /** A file that is read; with it go those that are read because it is. */
    private record Input(String label, Path file) {}

    private record Output(String label, OutputKind kind, Path file) {}

    private FileGuard(CommandSpec command) {
        this.command = command;
    }

    /**
     * Checks the command that a line asks for.
     *
     * @throws UsageException if it would destroy something
     */
    public static void check(ParseResult parsed) {
        ParseResult last = parsed;
        while (last.hasSubcommand()) {
            last = last.subcommand();
        }
        FileGuard guard = new FileGuard(last.commandSpec());
        last.commandSpec().args().forEach(guard::add);
        guard.outputs.sort(
                Comparator.comparing(Output::kind)); // the result first: the others are said to be too like it
        guard.check();
        if (last.commandSpec().userObject() instanceof DefaultOutput further) {
            further.furtherInputs().forEach(file -> guard.inputs.add(new Input("the run's inputs", file)));
            further.furtherOutputs().forEach((file, kind) -> guard.add("--output", kind, file));
            guard.check();
        }
    }

    private void add(ArgSpec arg) {
        if (!(arg.userObject() instanceof AnnotatedElement field)) {
            return;
        }
        List<Path> named = new ArrayList<>();
        addPaths(named, arg.getValue());
        if (field.isAnnotationPresent(Reads.class)) {
            named.forEach(file -> inputs.add(new Input(label(arg), file)));
        }
        Writes writes = field.getAnnotation(Writes.class);
        if (writes != null) {
            if (writes.value() == OutputKind.RESULT && command.userObject() instanceof DefaultOutput result) {
                result.outputs().forEach((each, kind) -> add(label(arg), kind, each));
            } else {
                named.forEach(each -> add(label(arg), writes.value(), each));
            }
        }
    }

    private void add(String label, OutputKind kind, Path named) {
        kind.files(named).forEach(file -> outputs.add(new Output(label, kind, file)));
    }

    private static void addPaths(List<Path> to, @Nullable Object value) {
        switch (value) {
            case Path path -> to.add(path.toString().equals("-") ? Path.of("/dev/stdin") : path);
            case String text
            when !text.isEmpty() -> {
                try {
                    to.add(Path.of(text));
                } catch (InvalidPathException _) {
                    return; // the command says what is wrong with it
                }
            }
            case Collection<?> several -> several.forEach(each -> addPaths(to, each));
            case null, default -> {}
        }
    }

    private static String label(ArgSpec arg) {
        return arg instanceof OptionSpec option
                ? Arrays.stream(option.names())
                        .filter(name -> name.startsWith("--"))
                        .findFirst()
                        .orElse(option.longestName())
                : arg.paramLabel();
    }

    private void check() {
        for (int i = 0; i < outputs.size(); i++) {
            Output output = outputs.get(i);
            for (Input input : inputs) {
                if (isRead(output, input)) {
                    throw new UsageException(output.label + ": expected another file than " + input.label
                            + ", which is read, got " + output.file);
                }
            }
            for (Output other : outputs.subList(0, i)) {
                if (!other.label.equals(output.label) && FileIdentity.same(output.file, other.file)) {
                    throw new UsageException(output.label + ": expected another file than " + other.label + ", got "
                            + output.file + " for both");
                }
            }
            refuseToReplace(output);
        }
    }

    /** Whether the command would read the file: it is named, or lies where the command looks for what it was not told by name. */
    private static boolean isRead(Output output, Input input) {
        if (FileIdentity.same(output.file, input.file)) {
            return true;
        }
        if (!Files.isRegularFile(output.file)) {
            return false; // what is not there is not read
        }
        if (Files.isDirectory(input.file)) {
            return mayBeRead(output)
                    && (FileIdentity.isWithin(output.file, input.file) || isLinkedFrom(output.file, input.file));
        }
        Path beside = input.file.resolveSibling("config.json");
        if (Files.exists(beside) && FileIdentity.same(output.file, beside)) {
            return true;
        }
        Path folder = input.file.toAbsolutePath().getParent();
        return folder != null
                && input.file.toString().endsWith(".index.json")
                && mayBeRead(output)
                && isLinkedFrom(output.file, folder);
    }

    /** What this command wrote before is a result, not part of a model, though it may have been put into its folder. */
    private static boolean mayBeRead(Output output) {
        return !output.kind.isEarlierOne(output.file);
    }

    /** Whether one of a folder's files is this one, by a link of either kind. */
    private static boolean isLinkedFrom(Path file, Path folder) {
        try (DirectoryStream<Path> all = Files.newDirectoryStream(folder)) {
            for (Path each : all) {
                if (Files.isDirectory(each) ? isLinkedFromWithin(file, each) : FileIdentity.same(file, each)) {
                    return true;
                }
            }
        } catch (IOException _) {
            return false; // nor can the command look there
        }
        return false;
    }

    /** Models have their files at most one folder deeper. */
    private static boolean isLinkedFromWithin(Path file, Path folder) {
        try (DirectoryStream<Path> all = Files.newDirectoryStream(folder)) {
            for (Path each : all) {
                if (FileIdentity.same(file, each)) {
                    return true;
                }
            }
        } catch (IOException _) {
            return false;
        }
        return false;
    }

    private void refuseToReplace(Output output) {
        OptionSpec force = command.findOption(Force.NAME);
        boolean forced = force != null && Boolean.TRUE.equals(force.getValue());
        if (forced || !Files.isRegularFile(output.file)) {
            return;
        }
        boolean any = output.kind.isNeverReplacedUnasked();
        if (any || !output.kind.isEarlierOne(output.file)) {
            throw new UsageException(output.label + ": " + output.file + " exists already"
                    + (any ? "" : " and was not written by " + command.qualifiedName()) + "; " + Force.NAME
                    + " replaces it");
        }
    }
}
