package wan.vae;

import java.util.HashMap;
import java.util.Map;
import wan.op.FrameOps;
import wan.op.Shape;
import wan.op.Tensor;

/** Work space of all layers: of each shape a tensor that lives only within one layer's step, cut from one that grows to the largest. */
final class Memory {
    private final FrameOps ops;
    private Tensor largest;
    private final Map<Shape, Tensor> parts = new HashMap<>();

    Memory(FrameOps ops) {
        this.ops = ops;
        largest = ops.allocate(Shape.of(0));
    }

    /** A tensor of undefined contents; good until the next call. */
    Tensor work(Shape shape) {
        if (shape.size() > largest.shape().size()) {
            largest = ops.allocate(Shape.of(0)); // let go of the old one before the new one is made
            parts.clear();
            largest = ops.allocate(Shape.of(shape.size()));
        }
        return parts.computeIfAbsent(shape, s -> ops.part(largest, s));
    }
}
