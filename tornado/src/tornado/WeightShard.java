package tornado;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;

/**
 * Packed weights of many linear layers in one array; all layers of one kind share it as far as they fit, so that they share compiled
 * graphs too.
 */
final class WeightShard implements VectorStore {
    private final List<DeviceLinear> members = new ArrayList<>();
    private int floats;
    private @Nullable VectorFloat16 array;

    /** Whether so many more fit into an array of {@code limit}; a shard whose array exists is closed. */
    boolean hasRoom(long more, long limit) {
        return array == null && floats + more <= limit;
    }

    /** Adds a layer and says where it will lie, in vectors of 16. */
    int add(DeviceLinear linear) {
        int at = floats;
        members.add(linear);
        floats += linear.packedFloats();
        return at / 16;
    }

    @Override
    public VectorFloat16 array() {
        VectorFloat16 present = array;
        if (present == null) {
            FloatArray storage = new FloatArray(floats);
            for (DeviceLinear linear : members) {
                linear.pack(storage);
            }
            present = new VectorFloat16(storage);
            array = present;
        }
        return present;
    }

    @Override
    public boolean changed() {
        return array == null;
    }

    @Override
    public boolean mutable() {
        return false;
    }

    @Override
    public long bytes() {
        return 4L * floats;
    }
}
