package wan.vae;

import wan.op.Tensor;

/** A layer with what it remembers. Frames go in one at a time; for each, none, one or two come out. */
non-sealed interface Stage extends Part {
    /**
     * Takes a frame and hands on what follows from it. The frame may be overwritten, here and by whoever it is handed to; what is
     * handed on is good until the next call.
     *
     * @param x [channels, rows, columns]
     */
    void push(Tensor x, Next next);

    /** Where frames go. */
    @FunctionalInterface
    interface Next {
        void accept(Tensor frame);
    }
}
