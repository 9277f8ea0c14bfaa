package tornado;

import java.util.function.Consumer;
import java.util.function.IntConsumer;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.WanException;

/** Addresses of scratch: a stack, as scopes nest, and beside it one of halves. Only numbers; the memory is the program's. */
final class ScratchStack {
    private static final int ALIGNMENT = 16;

    /** What was allocated since a scope was opened. */
    final class Level implements Scope {
        private final int start;
        private final int startOfHalves;
        private final Level parent;
        private final Consumer<Boolean> whenClosed;
        private boolean closed;

        private Level(Level parent, Consumer<Boolean> whenClosed) {
            this.start = top;
            this.startOfHalves = topOfHalves;
            this.parent = parent;
            this.whenClosed = whenClosed;
        }

        private Level() {
            this.start = 0;
            this.startOfHalves = 0;
            this.parent = this;
            this.whenClosed = outermost -> {};
        }

        boolean closed() {
            return closed;
        }

        @Override
        public void close() {
            if (closed || this == root) {
                return;
            }
            if (innermost != this) {
                throw new WanException("scope: closed before one that was opened inside it");
            }
            closed = true;
            top = start;
            topOfHalves = startOfHalves;
            innermost = parent;
            whenClosed.accept(parent == root);
        }
    }

    private final Level root = new Level();
    private Level innermost = root;
    private int top;
    private int peak;
    private int topOfHalves;
    private int peakOfHalves;

    Level root() {
        return root;
    }

    /**
     * Opens a scope.
     *
     * @param whenClosed called when it has been closed, with whether it was the outermost
     */
    Scope open(Consumer<Boolean> whenClosed) {
        innermost = new Level(innermost, whenClosed);
        return innermost;
    }

    DeviceTensor take(Shape shape) {
        int offset = top;
        top = after(top, shape);
        peak = Math.max(peak, top);
        return new DeviceTensor(shape, innermost, false, offset);
    }

    /** A place for as many in 16 bits, in an array of their own. */
    int takeHalves(Shape shape) {
        int offset = topOfHalves;
        topOfHalves = after(topOfHalves, shape);
        peakOfHalves = Math.max(peakOfHalves, topOfHalves);
        return offset;
    }

    /** A place in that array for as many in 8 bits, two in each element. */
    int takeBytes(Shape shape) {
        return takeHalves(Shape.of((shape.size() + 1) / 2));
    }

    private static int after(int offset, Shape shape) {
        long next = offset + (shape.size() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        if (next > DeviceTarget.MAX_ELEMENTS) {
            throw WanException.mismatch(
                    "scratch " + shape,
                    "at most " + DeviceTarget.MAX_ELEMENTS + " activations at once, which one array can hold",
                    next,
                    "fewer frames at once or a smaller video");
        }
        return (int) next;
    }

    /**
     * Lends room for one call: what comes after may use it again.
     *
     * @param use takes where it begins, and records the call
     */
    void lend(long floats, IntConsumer use) {
        int before = top;
        DeviceTensor room = take(Shape.of(floats));
        use.accept(room.offset());
        top = before;
    }

    /** Where the next tensor begins, in floats. */
    int top() {
        return top;
    }

    /** The most floats that were ever taken at once. */
    int peak() {
        return peak;
    }

    /** The most halves that were ever taken at once. */
    int peakOfHalves() {
        return peakOfHalves;
    }
}
