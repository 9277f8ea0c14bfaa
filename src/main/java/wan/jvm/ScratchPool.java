package wan.jvm;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import java.util.function.IntFunction;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.WanException;

/**
 * Scratch arrays that are reused: they go back when their scope closes, and are handed out by length, so that a pass like the
 * one before it allocates none. A length that has not been requested for a while, because passes have become longer, is
 * released. Not thread-safe.
 */
final class ScratchPool {
    /** Outermost scopes, one or two a pass, without which a length is forgotten. */
    private static final int FORGOTTEN_AFTER = 8;

    private final IntFunction<float[]> allocate;
    private final IntConsumer letGo;
    private final Map<Integer, Deque<float[]>> free = new HashMap<>();
    /** By length: the outermost scope that asked for it last. */
    private final Map<Integer, Long> asked = new HashMap<>();

    private long outermost;
    private final Deque<Level> open = new ArrayDeque<>();

    /**
     * An empty pool.
     *
     * @param allocate gives an array of a length
     * @param letGo told the length of each array that is let go
     */
    ScratchPool(IntFunction<float[]> allocate, IntConsumer letGo) {
        this.allocate = allocate;
        this.letGo = letGo;
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
            if (open.isEmpty()) {
                outermost++;
                forget();
            }
        }
    }

    private void forget() {
        free.entrySet().removeIf(entry -> {
            boolean old = outermost - asked.getOrDefault(entry.getKey(), 0L) > FORGOTTEN_AFTER;
            if (old) {
                asked.remove(entry.getKey());
                entry.getValue().forEach(_ -> letGo.accept(entry.getKey()));
            }
            return old;
        });
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
        asked.put((int) size, outermost);
        Deque<float[]> sameLength = free.get((int) size);
        float[] values = sameLength == null || sameLength.isEmpty() ? allocate.apply((int) size) : sameLength.pop();
        HeapTensor tensor = new HeapTensor(shape, values);
        owner.tensors.add(tensor);
        return tensor;
    }
}
