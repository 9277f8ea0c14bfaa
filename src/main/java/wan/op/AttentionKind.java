package wan.op;

/** The attentions of a layer. */
public enum AttentionKind {
    /** Of the pass's tokens over the cached frames. */
    SELF,
    /** Of the pass's tokens over the text. */
    CROSS,
    /** Of the pass's tokens over a picture's, with the queries of {@link #CROSS}; only in models that take a picture. */
    IMAGE
}
