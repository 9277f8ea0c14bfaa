package capture.analysis;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import wan.op.UsageException;

/** How values of several runs are combined. */
public enum Merge {
    /** Their mean; of one run its number. */
    MEAN,
    /** Their standard deviation, with n - 1. */
    SD,
    /** The second run's number less the first one's. */
    DIFFERENCE;

    /**
     * A way by its name.
     *
     * @throws UsageException if there is none
     */
    public static Merge parse(String name) {
        return Arrays.stream(values())
                .filter(each -> each.id().equals(name))
                .findFirst()
                .orElseThrow(() -> new UsageException("figure.over: expected mean, sd or difference, got " + name));
    }

    /** As options spell it. */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * Checks the number of runs.
     *
     * @throws UsageException if it does not go with this way
     */
    void requireRuns(int runs) {
        if (this == DIFFERENCE && runs != 2) {
            throw new UsageException("figure.over: difference: expected two runs, got " + runs);
        }
        if (this == SD && runs < 2) {
            throw new UsageException("figure.over: sd: expected two runs or more, got " + runs);
        }
    }

    /** One number of the runs' numbers; NaN if one of them is. */
    double of(double... numbers) {
        return switch (this) {
            case MEAN -> mean(numbers);
            case SD -> {
                double mean = mean(numbers);
                double squares = 0;
                for (double number : numbers) {
                    squares += (number - mean) * (number - mean);
                }
                yield Math.sqrt(squares / (numbers.length - 1));
            }
            case DIFFERENCE -> numbers[1] - numbers[0];
        };
    }

    /** Place by place. */
    double[] of(List<double[]> lists) {
        double[] merged = new double[lists.getFirst().length];
        double[] numbers = new double[lists.size()];
        for (int i = 0; i < merged.length; i++) {
            for (int run = 0; run < numbers.length; run++) {
                numbers[run] = lists.get(run)[i];
            }
            merged[i] = of(numbers);
        }
        return merged;
    }

    private static double mean(double... numbers) {
        double sum = 0;
        for (double number : numbers) {
            sum += number;
        }
        return sum / numbers.length;
    }
}
