package uk.ac.manchester.tornado.api.types.collections;

import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.vectors.Float16;

/** A float array that is also read in vectors of 16. */
public final class VectorFloat16 {
    private final FloatArray storage;

    /** On top of an array. */
    public VectorFloat16(FloatArray array) {
        storage = array;
    }

    /** Elements 16 index to 16 index + 15. */
    public Float16 get(int index) {
        int at = 16 * index;
        return new Float16(
                storage.get(at + 0),
                storage.get(at + 1),
                storage.get(at + 2),
                storage.get(at + 3),
                storage.get(at + 4),
                storage.get(at + 5),
                storage.get(at + 6),
                storage.get(at + 7),
                storage.get(at + 8),
                storage.get(at + 9),
                storage.get(at + 10),
                storage.get(at + 11),
                storage.get(at + 12),
                storage.get(at + 13),
                storage.get(at + 14),
                storage.get(at + 15));
    }

    /** The elements one by one. */
    public FloatArray getArray() {
        return storage;
    }
}
