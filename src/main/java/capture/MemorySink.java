package capture;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.WanException;

/** Keeps captured tensors in memory, for library use and small captures. */
public final class MemorySink implements CaptureSink {
    private final SequencedMap<String, HostTensor> tensors = new LinkedHashMap<>();

    @Override
    public synchronized void write(String name, Shape shape, float[] values) {
        tensors.put(name, new HostTensor(shape, values));
    }

    @Override
    public synchronized Pieces open(String name, Shape shape) {
        HostTensor target = HostTensor.zeros(shape);
        tensors.put(name, target);
        return (first, values, count) -> System.arraycopy(values, 0, target.values(), Math.toIntExact(first), count);
    }

    /**
     * One captured tensor.
     *
     * @throws WanException if there is none of that name
     */
    public synchronized HostTensor get(String name) {
        HostTensor tensor = tensors.get(name);
        if (tensor == null) {
            throw new WanException("capture: no tensor " + name + " has been captured");
        }
        return tensor;
    }

    /** What has been captured so far, in the order of the run. */
    public synchronized SequencedMap<String, HostTensor> tensors() {
        return Collections.unmodifiableSequencedMap(new LinkedHashMap<>(tensors));
    }
}
