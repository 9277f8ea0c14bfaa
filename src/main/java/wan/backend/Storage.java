package wan.backend;

import wan.op.DType;

/**
 * How weights and caches lie in memory; our kernels compute in float32 whatever they are, a library in their type.
 *
 * @param weights F32, F16, BF16 or, with a float32 scale for each output channel, F8_E4M3: of the linear layers' matrices. Everything else
 *     that is trained is small and stays float32
 * @param cache F32, F16 or BF16: of keys and values
 */
public record Storage(DType weights, DType cache) {
    /** Nothing is rounded. */
    public static final Storage F32 = new Storage(DType.F32, DType.F32);

    /** Refuses every other type. */
    public Storage {
        if (weights != DType.F8_E4M3) {
            check(weights);
        }
        check(cache);
    }

    /** As a backend's name ends: nothing, or what is stored otherwise than in float32. */
    public String suffix() {
        return equals(F32) ? "" : ", weights " + weights.option() + ", keys and values " + cache.option();
    }

    private static void check(DType dtype) {
        if (dtype != DType.F32 && dtype != DType.F16 && dtype != DType.BF16) {
            throw new IllegalArgumentException("no storage as " + dtype);
        }
    }
}
