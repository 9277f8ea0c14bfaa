package wan.jvm;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.WanException;

/**
 * Scratch that is used again: arrays go back when their scope closes, and are handed out by length, so that a pass like the
 * one before it allocates none. For one thread.
 */
final class ScratchPool {
    private final IntFunction<float[]> allocate;
    private final Map<Integer, Deque<float[]>> free = new HashMap<>();
    private final Deque<Level> open = new ArrayDeque<>();

    /** @param allocate gives an array of a length */
    ScratchPool(IntFunction<float[]> allocate) {
        this.allocate = allocate;
    }

    /** One open scope and what it owns. */
    private final class Level implements Scope {
        final List<HeapTensor> tensors = new ArrayList<>();

        @Override
        public void close() {
            if (!open.contains(this)) {
                return; // closed before, or with an outer one
            }
            Level last;
            do { // inner scopes that an exception left open go with the outer one
                last = open.pop();
                for (HeapTensor tensor : last.tensors) {
                    free.computeIfAbsent(tensor.shape().intSize(), _ -> new ArrayDeque<>())
                            .push(tensor.surrender());
                }
            } while (!last.equals(this));
        }
    }

    Scope scope() {
        Level level = new Level();
        open.push(level);
        return level;
    }

    /** A tensor of undefined contents, owned by the innermost scope. */
    HeapTensor take(Shape shape, String op) {
        Level owner = open.peek();
        if (owner == null) {
            throw new WanException(op + ": no scope is open");
        }
        long size = shape.size();
        if (size > Integer.MAX_VALUE - 8) {
            throw new WanException(op + ": a result " + shape + " has more elements than a Java array holds");
        }
        Deque<float[]> sameLength = free.get((int) size);
        float[] values = sameLength == null || sameLength.isEmpty() ? allocate.apply((int) size) : sameLength.pop();
        HeapTensor tensor = new HeapTensor(shape, values);
        owner.tensors.add(tensor);
        return tensor;
    }
}
