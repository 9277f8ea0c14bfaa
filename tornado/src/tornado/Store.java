package tornado;

import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;

/** A large array on the device that is read in vectors: packed weights, or pages of keys or values. Compared by identity. */
interface VectorStore {
    /** The host's side of the array, made or enlarged when it is asked for and changed since. */
    VectorFloat16 array();

    /** Whether {@link #array} would be another one than the program was built with. */
    boolean changed();

    /** Whether kernels write to it. */
    boolean mutable();

    /** Bytes on the device, and as many on the host. */
    long bytes();
}
