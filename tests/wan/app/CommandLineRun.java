package wan.app;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;

/** One command in this JVM, with what it printed. */
public record CommandLineRun(int exitCode, String out, String err) {
    public static CommandLineRun of(Object... args) {
        PrintStream savedOut = System.out;
        PrintStream savedErr = System.err;
        String savedLog = System.getProperty("wan.log");
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        String[] words = new String[args.length];
        for (int i = 0; i < args.length; i++) {
            words[i] = args[i].toString();
        }
        try {
            System.setOut(new PrintStream(out, true, UTF_8));
            System.setErr(new PrintStream(err, true, UTF_8));
            System.setProperty("wan.log", "INFO"); // the build shows less, and not what is caught here
            int exitCode = Main.run(words);
            return new CommandLineRun(exitCode, out.toString(UTF_8), err.toString(UTF_8));
        } finally {
            System.setOut(savedOut);
            System.setErr(savedErr);
            if (savedLog == null) {
                System.clearProperty("wan.log");
            } else {
                System.setProperty("wan.log", savedLog);
            }
        }
    }
}
