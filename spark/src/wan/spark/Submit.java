package wan.spark;

import java.util.Locale;
import wan.app.Main;

/** What {@code spark-submit} starts. */
public final class Submit {
    private Submit() {}

    /**
     * Runs a sweep, and ends the JVM with its exit code.
     *
     * @param args the command line
     */
    public static void main(String[] args) {
        int code;
        try {
            Locale.setDefault(Locale.ROOT);
            code = Main.runAlone(new SparkSweepCommand(), args);
        } catch (NoClassDefFoundError e) {
            System.err.println("wan-attn: expected wan-attn.jar beside wan-attn-spark.jar, or named with --jars; "
                    + e.getMessage() + " is missing");
            code = 1;
        }
        if (code != 0) {
            System.exit(code); // else Spark ends it, on whatever cluster
        }
    }
}
