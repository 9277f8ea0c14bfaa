package wan.app.terminal;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.System.Logger.Level;
import org.junit.jupiter.api.Test;

class StderrLoggersTest {
    private static String logged(String name, LoggerAction action) {
        PrintStream before = System.err;
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        System.setErr(new PrintStream(err, true, UTF_8));
        String level = System.clearProperty("wan.log"); // the build's
        try {
            action.run(System.getLogger(name));
        } finally {
            System.setErr(before);
            if (level != null) {
                System.setProperty("wan.log", level);
            }
        }
        return err.toString(UTF_8);
    }

    private interface LoggerAction {
        void run(System.Logger logger);
    }

    @Test
    void log_isOneLineOnStderr() {
        assertThat(logged("wan.weights", logger -> {
                    logger.log(Level.DEBUG, "not shown");
                    logger.log(Level.INFO, "loaded");
                    logger.log(Level.WARNING, "{0} of {1} used", 1, 2);
                    logger.log(Level.INFO, "100 % {0}");
                    logger.log(Level.ERROR, "it broke", new IOException("why"));
                }))
                .isEqualTo("""
                        wan-attn: loaded
                        wan-attn: warning: 1 of 2 used
                        wan-attn: 100 % {0}
                        wan-attn: error: it broke: java.io.IOException: why
                        """);
    }

    @Test
    void log_keepsOthersQuiet_belowAWarning() {
        assertThat(logged("org.other", logger -> {
                    logger.log(Level.INFO, "chatter");
                    logger.log(Level.WARNING, "worth it");
                }))
                .isEqualTo("wan-attn: warning: worth it\n");
    }
}
