package wan.backend;

import java.util.Locale;

/** Formats numbers of bytes for people. */
public final class Bytes {
    private static final String[] UNITS = {"bytes", "KiB", "MiB", "GiB", "TiB"};

    private Bytes() {}

    /** 1.5 GiB. */
    public static String text(long bytes) {
        int unit = 0;
        double value = (double) bytes;
        while (value >= 1024 && unit < UNITS.length - 1) {
            value /= 1024;
            unit++;
        }
        return String.format(Locale.ROOT, unit == 0 ? "%.0f %s" : "%.1f %s", value, UNITS[unit]);
    }
}
