package capture.analysis;

/**
 * The strongest oscillation along a series.
 *
 * @param period in elements of the series; NaN if there is none
 * @param share of the spectrum's power in that frequency, 0 to 1; NaN if there is none
 */
public record Spectrum(double period, double share) {
    /** Fewest differences that a period is read from: two cycles of the fastest oscillation. */
    static final int LEAST = 4;

    private static final Spectrum NONE = new Spectrum(Double.NaN, Double.NaN);

    /** Powers that differ by less than this share are a tie: rounding decides nothing. */
    private static final double TIE = 1e-9;

    /** The tables of the length that a thread asked for last: the heads of a frame block have the same. */
    private static final ThreadLocal<Fourier> LATEST = ThreadLocal.withInitial(() -> new Fourier(LEAST));

    /**
     * Looks at the difference of the series from element to element, less its mean, under a Hann window; the frequency with the most
     * power is the answer, the longest period on a tie. Power below rounding counts as none.
     *
     * @param series evenly spaced
     */
    public static Spectrum of(double[] series) {
        int n = series.length - 1;
        if (n < LEAST) {
            return NONE;
        }
        Fourier fourier = fourier(n);
        double[] windowed = new double[n];
        double mean = (series[n] - series[0]) / n;
        double scale = 0;
        for (int i = 0; i < n; i++) {
            double difference = series[i + 1] - series[i];
            scale = Math.max(scale, Math.abs(difference));
            windowed[i] = (difference - mean) * fourier.window(i);
        }
        double best = 0;
        double total = 0;
        int frequency = 0;
        double[] power = fourier.power(windowed);
        for (int j = 1; j < power.length; j++) {
            total += power[j];
            if (power[j] > best * (1 + TIE)) {
                best = power[j];
                frequency = j;
            }
        }
        return best > 1e-24 * scale * scale * n ? new Spectrum((double) n / frequency, best / total) : NONE;
    }

    private static Fourier fourier(int length) {
        Fourier latest = LATEST.get();
        if (latest.length() != length) {
            latest = new Fourier(length);
            LATEST.set(latest);
        }
        return latest;
    }
}
