package tornado;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import wan.op.DType;

/**
 * Weights of many linear layers in one array, packed in panels or plain; all layers of one kind share it as far as they fit, so that they share compiled
 * graphs too.
 */
final class WeightShard implements Store {
    private final DType dtype;
    private final boolean plain;
    private final List<DeviceLinear> members = new ArrayList<>();
    private int elements;
    private boolean closed;
    private @Nullable Object array;

    /**
     * Still empty.
     *
     * @param plain whether weights are in the order of libraries
     */
    WeightShard(DType dtype, boolean plain) {
        this.dtype = dtype;
        this.plain = plain;
    }

    /** Whether so many more fit into an array of {@code limit}. */
    boolean hasRoom(long more, long limit) {
        return !closed && elements + more <= limit;
    }

    /** Lets nothing more in: a program has been made with it. */
    void close() {
        closed = true;
    }

    /** The names of its layers, in order. */
    List<String> names() {
        return members.stream().map(DeviceLinear::name).toList();
    }

    /** Adds a layer and says where it will lie, in vectors of 16. */
    int add(DeviceLinear linear) {
        int at = elements;
        members.add(linear);
        elements += linear.elements(dtype, plain);
        return at / 16;
    }

    @Override
    public Object array() {
        Object present = array;
        if (present == null) {
            // No kernel reads plain weights in vectors.
            present = plain && dtype == DType.F32 ? new FloatArray(elements) : Store.allocate(dtype, elements);
            for (DeviceLinear linear : members) {
                linear.pack(Store.segment(present), dtype, plain);
            }
            array = present;
        }
        return present;
    }

    @Override
    public boolean changed() {
        return array == null;
    }

    @Override
    public Use use() {
        return Use.WEIGHTS;
    }

    @Override
    public DType dtype() {
        return dtype;
    }

    @Override
    public long bytes() {
        return dtype.bytes(elements);
    }
}
