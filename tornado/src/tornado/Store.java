package tornado;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;
import wan.op.DType;

/**
 * A large array on the device: packed weights, or pages of keys or values. In float32 it is a {@link VectorFloat16}, which kernels
 * read in vectors, in 16 bits a {@link ShortArray}, which they widen first, and in 8
 * bits the same with two in each element, the first in its low bits. Compared by identity.
 */
interface Store {
    /** What it holds. */
    enum Use {
        /** Kernels only read it. */
        WEIGHTS,
        /** Kernels write it. */
        PAGES,
        /** Kernels write it for the next ones, which may be those of the next program. */
        SCRATCH
    }

    /** The host's side of the array, made or enlarged when it is asked for and changed since. */
    Object array();

    /** Whether {@link #array} would be another one than the program was built with. */
    boolean changed();

    Use use();

    DType dtype();

    /** Bytes on the device, and as many on the host. */
    long bytes();

    /** A new array. */
    static Object allocate(DType dtype, int elements) {
        return dtype == DType.F32
                ? new VectorFloat16(new FloatArray(elements))
                : new ShortArray(Math.toIntExact(Math.ceilDiv(dtype.bytes(elements), 2)));
    }

    /** A new array that begins as an old one of the same type, if there is one. */
    static Object larger(@Nullable Object old, DType dtype, int elements) {
        Object fresh = allocate(dtype, elements);
        if (old != null) {
            MemorySegment from = segment(old);
            segment(fresh).asSlice(0, from.byteSize()).copyFrom(from);
        }
        return fresh;
    }

    /** The host's bytes of an array. */
    static MemorySegment segment(Object array) {
        return switch (array) {
            case VectorFloat16 vectors -> vectors.getArray().getSegment();
            case FloatArray floats -> floats.getSegment();
            default -> ((ShortArray) array).getSegment();
        };
    }
}
