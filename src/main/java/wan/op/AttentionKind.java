package wan.op;

/** The two attentions of a layer. */
public enum AttentionKind {
    /** Of the pass's tokens over the cached frames. */
    SELF,
    /** Of the pass's tokens over the text. */
    CROSS
}
