package wan.sampling;

import wan.pass.PassId;

/**
 * What happens to the conditions or the cache between two passes.
 *
 * @param kind what it is
 * @param before the pass that comes next
 * @param detail in a few words
 */
public record RunEvent(Kind kind, PassId before, String detail) {
    /** What can happen. */
    public enum Kind {
        /** Another prompt from here on. */
        SWITCH,
        /** All cached keys and values become zeros. */
        FLUSH,
        /** Finished frames are cached again under the current prompt. */
        RECACHE,
        /** The cache is emptied and refilled with the context. */
        RECOMPUTE,
        /** Another expert runs from here on. */
        EXPERT
    }
}
