package wan.sampling;

import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.WanException;

/**
 * A place in a plan from which a run can be resumed, with the data that a sampler cannot recompute without running everything
 * before it.
 *
 * @param passes how many of the plan's passes are done
 * @param kept gives what {@link RunListener#resumable} was called with until there, by its name; null where there is none
 */
public record Checkpoint(int passes, Function<String, @Nullable HostTensor> kept) {
    /**
     * One of the tensors that were kept.
     *
     * @throws WanException if it is missing or has another shape
     */
    HostTensor tensor(String name, Shape shape) {
        HostTensor tensor = kept.apply(name);
        if (tensor == null || !tensor.shape().equals(shape)) {
            throw WanException.mismatch(
                    "what an earlier run kept as " + name, shape, tensor == null ? "none" : tensor.shape(), "");
        }
        return tensor;
    }
}
