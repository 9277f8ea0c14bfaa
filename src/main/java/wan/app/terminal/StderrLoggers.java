package wan.app.terminal;

import java.text.MessageFormat;
import java.util.Locale;
import java.util.ResourceBundle;
import org.jspecify.annotations.Nullable;
import wan.app.option.OptionNames;
import wan.run.Program;

/**
 * Where {@link System.Logger} goes: one line a message on stderr, from INFO up. {@code -Dwan.log=DEBUG} (in {@code
 * WAN_ATTN_JAVA_OPTS}) shows more of ours. Registered as a service; java.util.logging is never loaded.
 */
public final class StderrLoggers extends System.LoggerFinder {
    /** For the service loader. */
    public StderrLoggers() {}

    @Override
    public System.Logger getLogger(String name, Module module) {
        boolean ours = name.startsWith("wan.") || name.startsWith("capture");
        return new StderrLogger(name, ours);
    }

    private record StderrLogger(String name, boolean ours) implements System.Logger {
        @Override
        public String getName() {
            return name;
        }

        @Override
        public boolean isLoggable(Level level) {
            Level threshold = ours ? Level.valueOf(System.getProperty("wan.log", "INFO")) : Level.WARNING;
            return level != Level.OFF && level.compareTo(threshold) >= 0;
        }

        @Override
        public void log(
                Level level, @Nullable ResourceBundle bundle, @Nullable String message, @Nullable Throwable thrown) {
            if (isLoggable(level)) {
                tell(level, message + (thrown == null ? "" : ": " + thrown));
            }
        }

        @Override
        public void log(
                Level level, @Nullable ResourceBundle bundle, @Nullable String format, @Nullable Object... values) {
            if (isLoggable(level)) {
                boolean plain = format == null || values == null || values.length == 0;
                tell(level, plain ? String.valueOf(format) : new MessageFormat(format, Locale.ROOT).format(values));
            }
        }

        private static void tell(Level level, String message) {
            String kind = switch (level) {
                case ERROR -> "error: ";
                case WARNING -> "warning: ";
                case INFO -> "";
                default -> "debug: ";
            };
            System.err.println(Program.NAME + ": " + kind + OptionNames.inPlaceOfFields(message));
        }
    }
}
