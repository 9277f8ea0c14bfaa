package wan.op;

/** Which half of a {@link KvTensor}. */
public enum CachePart {
    /** What queries are multiplied with. */
    KEYS,
    /** What is summed with the weights that come of that. */
    VALUES
}
