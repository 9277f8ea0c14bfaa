package wan.jvm;

import java.util.Locale;
import wan.jvm.onednn.OneDnnStatus;
import wan.op.DType;
import wan.op.UsageException;

/**
 * How the JVM backend computes.
 *
 * @param threads threads that compute, the calling one included
 * @param kernels which kernels
 * @param cache F32, F16 or BF16: what keys and values are stored as; oneDNN's kernels take F32 only
 */
public record JvmOptions(int threads, Kind kernels, DType cache) {
    /** Which kernels. */
    public enum Kind {
        /** The vector kernels where this Java has them, else the scalar ones. */
        AUTO,
        /** The Vector API; an error if the module {@code jdk.incubator.vector} is not there. */
        VECTOR,
        /** Plain loops with double accumulation: slow, for tests and cross-checks. */
        SCALAR,
        /** Products in bfloat16 with float32 sums on the native library oneDNN, the rest as VECTOR; see {@link OneDnnStatus}. */
        ONEDNN_BF16,
        /** Products in float32 on oneDNN, the rest as VECTOR. */
        ONEDNN_F32,
        /**
         * Linear layers of the transformer's layers in int8 with exact sums on oneDNN, a scale for each row of x and each output
         * feature; the rest as ONEDNN_BF16 where the processor has it, else as ONEDNN_F32.
         */
        ONEDNN_INT8;

        /** As options spell it: {@code vector}, {@code onednn:bf16}. */
        public String option() {
            return name().toLowerCase(Locale.ROOT).replace('_', ':');
        }
    }

    /** Checks the number of threads. */
    public JvmOptions {
        if (threads < 1) {
            throw new UsageException("threads: expected 1 or more, got " + threads);
        }
    }

    /** Nothing is rounded. */
    public JvmOptions(int threads, Kind kernels) {
        this(threads, kernels, DType.F32);
    }

    /** All cores, the best kernels. */
    public static JvmOptions defaults() {
        return new JvmOptions(Runtime.getRuntime().availableProcessors(), Kind.AUTO);
    }
}
