package wan.file.torch;

import java.util.List;
import wan.op.DType;
import wan.op.Shape;

/**
 * A tensor as a pickle describes it: a window with strides into a storage, checked to lie within it.
 *
 * @param storage where the elements lie
 * @param dtype element type
 * @param offset first element, in elements of {@code dtype} from the start of the view of the storage
 * @param shape extents, outermost first
 * @param strides in elements, one per axis, none negative
 */
public record TorchTensor(TorchStorage storage, DType dtype, long offset, Shape shape, List<Long> strides) {
    /** Whether the elements lie in C order without gaps. */
    public boolean contiguous() {
        long expected = 1;
        long[] dims = shape.dims();
        for (int axis = dims.length - 1; axis >= 0; axis--) {
            if (dims[axis] != 1) {
                if (strides.get(axis) != expected) {
                    return false;
                }
                expected *= dims[axis];
            }
        }
        return true;
    }

    /** Byte of the first element, from the start of the storage's bytes. */
    public long startBytes() {
        return storage.dtype().bytes(storage.viewOffset()) + dtype.bytes(offset);
    }

    @Override
    public String toString() {
        return "tensor " + dtype + " " + shape;
    }
}
