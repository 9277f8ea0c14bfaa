package wan.op;

/** Watches one pass: chooses the taps of its attentions, and hears of every layer that is done. */
public interface PassObserver {
    /** Watches nothing. */
    PassObserver NONE = new PassObserver() {};

    /** The tap of one attention of one layer. */
    default AttentionTap tap(int layer, AttentionKind kind) {
        return AttentionTap.NONE;
    }

    /** Called after each layer, on the calling thread; an exception thrown here ends the pass. */
    default void layerDone(int layer) {}
}
