package wan.app;

import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;
import wan.app.option.OptionNames;
import wan.op.FormatException;
import wan.op.UsageException;
import wan.op.WanException;
import wan.run.Program;

/**
 * Reports failures: one line on stderr, and an exit code. A stack trace is printed only with {@code --stacktrace}, or for an
 * internal error.
 *
 * @param err the stream for messages
 * @param stacktrace whether to print stack traces
 */
record Failures(PrintStream err, boolean stacktrace) {
    static final int FAILED = 1;
    static final int BAD_USAGE = 2;

    /** Reports what a command threw; returns the exit code. */
    int report(Throwable thrown) {
        Throwable e = thrown;
        while ((e instanceof ExecutionException
                        || e instanceof CompletionException
                        || e instanceof UncheckedIOException)
                && e.getCause() != null) {
            e = e.getCause();
        }
        return switch (e) {
            // Of a file, whose fields have their own names.
            case FormatException file -> tell(file, file.getMessage(), FAILED);
            case UsageException usage -> tell(usage, options(usage), BAD_USAGE);
            case WanException failure -> tell(failure, options(failure), FAILED);
            case CancellationException stopped -> tell(stopped, stopped.getMessage(), FAILED);
            case OutOfMemoryError memory -> tell(memory, describe(memory), FAILED);
            case IOException io -> tell(io, describe(io), FAILED);
            default -> {
                err.println(Program.NAME + ": internal error, please report it with the lines below");
                thrown.printStackTrace(err);
                yield FAILED;
            }
        };
    }

    /** Reports what is wrong with the command line itself; returns the exit code. */
    int reportUsage(ParameterException e) {
        CommandLine command = e.getCommandLine();
        String message = describe(e);
        return tell(
                e,
                message + (message.endsWith("?") ? " See " : "; see ")
                        + command.getCommandSpec().qualifiedName() + " --help",
                BAD_USAGE);
    }

    private static String options(WanException e) {
        return OptionNames.inPlaceOfFields(String.valueOf(e.getMessage()));
    }

    private int tell(Throwable e, @Nullable String message, int exitCode) {
        String text = message == null ? e.getClass().getSimpleName() : WanException.cut(message);
        err.println(Program.NAME + ": " + text.strip().replaceAll("\\s*\\R\\s*", " "));
        if (stacktrace) {
            e.printStackTrace(err);
        }
        return exitCode;
    }

    private static String describe(ParameterException e) {
        if (e instanceof UnmatchedArgumentException unmatched
                && !unmatched.getUnmatched().isEmpty()) {
            String given = unmatched.getUnmatched().getFirst();
            CommandLine command = e.getCommandLine();
            String kind = "unexpected value";
            Set<String> known = Set.of();
            if (unmatched.isUnknownOption()) {
                kind = "unknown option";
                known = command.getCommandSpec().optionsMap().keySet();
            } else if (!command.getSubcommands().isEmpty()) {
                kind = "unknown command";
                known = command.getSubcommands().keySet();
            }
            List<String> near = Nearest.of(given.split("=", 2)[0], known);
            return kind + " '" + given + "'"
                    + (near.isEmpty() ? "" : "; did you mean " + String.join(" or ", near) + "?");
        }
        String message = String.valueOf(e.getMessage());
        return message.substring(0, 1).toLowerCase(Locale.ROOT) + message.substring(1);
    }

    private static String describe(OutOfMemoryError e) {
        Runtime runtime = Runtime.getRuntime();
        double gib = 1L << 30;
        return String.format(
                Locale.ROOT,
                "out of memory (%s): %.1f of at most %.1f GiB of Java heap in use; allow more with --heap SIZE",
                e.getMessage(),
                (runtime.totalMemory() - runtime.freeMemory()) / gib,
                runtime.maxMemory() / gib);
    }

    private static String describe(IOException e) {
        if (e instanceof FileSystemException file && file.getFile() != null) {
            String reason = switch (file) {
                case NoSuchFileException missing -> "no such file or folder";
                case AccessDeniedException denied -> "permission denied";
                case FileAlreadyExistsException exists -> "exists already";
                default -> file.getReason() == null ? file.getClass().getSimpleName() : file.getReason();
            };
            return file.getFile() + ": " + reason;
        }
        return e.getMessage() == null ? e.toString() : e.getMessage();
    }
}
