package wan.op;

import org.jspecify.annotations.Nullable;

/**
 * Observes one pass and can change it: it chooses the taps and edits of attentions, sees activations, and is notified
 * after every layer. An observer that changes nothing adds no operations.
 */
public interface PassObserver {
    /** Observes and changes nothing. */
    PassObserver NONE = new PassObserver() {};

    /** The tap of one attention of one layer. */
    default AttentionTap tap(int layer, AttentionKind kind) {
        return AttentionTap.NONE;
    }

    /** What is changed in one attention of one layer. */
    default AttentionEdit edit(int layer, AttentionKind kind) {
        return AttentionEdit.NONE;
    }

    /** Called before each layer with its cache of frames; may blend pages and discard what heads no longer need. */
    default void begin(int layer, KvTensor cache, Ops ops) {}

    /** Whether {@link #visit} looks at a site without changing it. */
    default boolean looksAt(int layer, Site site) {
        return false;
    }

    /** Whether {@link #visit} changes a site. Then the model makes the site's value even where it otherwise would not. */
    default boolean changes(int layer, Site site) {
        return false;
    }

    /**
     * Called at every site that is looked at or changed.
     *
     * @param x shaped as {@link Site} says; changed in place with operations of {@code ops}
     */
    default void visit(int layer, Site site, Tensor x, Ops ops) {}

    /** Where the pass begins; null for its first layer. */
    default @Nullable LayerEntry entry() {
        return null;
    }

    /** Whether the pass continues with values that are not finite, which otherwise end it. */
    default boolean keepsNonFinite() {
        return false;
    }

    /** Called after each layer, on the calling thread; an exception thrown here ends the pass. */
    default void layerDone(int layer) {}
}
