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
        double[] windowed = new double[n];
        double mean = (series[n] - series[0]) / n;
        double scale = 0;
        for (int i = 0; i < n; i++) {
            double difference = series[i + 1] - series[i];
            scale = Math.max(scale, Math.abs(difference));
            windowed[i] = (difference - mean) * (0.5 - 0.5 * Math.cos(2 * Math.PI * i / (n - 1)));
        }
        double best = 0;
        double total = 0;
        int frequency = 0;
        for (int j = 1; j <= n / 2; j++) {
            double re = 0;
            double im = 0;
            for (int i = 0; i < n; i++) {
                double angle = 2 * Math.PI * ((long) i * j % n) / n;
                re += windowed[i] * Math.cos(angle);
                im -= windowed[i] * Math.sin(angle);
            }
            double power = re * re + im * im;
            total += power;
            if (power > best) {
                best = power;
                frequency = j;
            }
        }
        return best > 1e-24 * scale * scale * n ? new Spectrum((double) n / frequency, best / total) : NONE;
    }
}
