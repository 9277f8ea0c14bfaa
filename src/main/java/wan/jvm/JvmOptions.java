package wan.jvm;

import wan.op.UsageException;

/**
 * How the JVM backend computes.
 *
 * @param threads threads that compute, the calling one included
 * @param kernels which kernels
 */
public record JvmOptions(int threads, Kind kernels) {
    /** Which of the twin kernels. */
    public enum Kind {
        /** The vector kernels where this Java has them, else the scalar ones. */
        AUTO,
        /** The Vector API; an error if the module {@code jdk.incubator.vector} is not there. */
        VECTOR,
        /** Plain loops with double accumulation: slow, for tests and doubts. */
        SCALAR
    }

    /** Checks the number of threads. */
    public JvmOptions {
        if (threads < 1) {
            throw new UsageException("threads: expected 1 or more, got " + threads);
        }
    }

    /** All cores, the best kernels. */
    public static JvmOptions defaults() {
        return new JvmOptions(Runtime.getRuntime().availableProcessors(), Kind.AUTO);
    }
}
