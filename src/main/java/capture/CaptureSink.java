package capture;

import wan.op.Shape;

/** The destination of captured tensors. */
public interface CaptureSink {
    /** Keeps nothing. */
    CaptureSink NONE = new CaptureSink() {
        @Override
        public void write(String name, Shape shape, float[] values) {}

        @Override
        public Pieces open(String name, Shape shape) {
            return (_, _, _) -> {};
        }
    };

    /**
     * Takes a whole tensor.
     *
     * @param values C order; not changed afterwards
     */
    void write(String name, Shape shape, float[] values);

    /** Opens a tensor that arrives in pieces; it counts once all of its elements have been written. */
    Pieces open(String name, Shape shape);

    /** A tensor that arrives in pieces, from several threads at once. */
    interface Pieces {
        /**
         * Takes some elements.
         *
         * @param firstElement position in C order
         * @param values only read during the call
         * @param count how many of them
         */
        void write(long firstElement, float[] values, int count);
    }
}
