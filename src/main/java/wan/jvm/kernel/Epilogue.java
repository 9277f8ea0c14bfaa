package wan.jvm.kernel;

/**
 * What happens to v = x W^T + b before it is stored.
 *
 * @param kind which of the four
 * @param gate values of the gate; empty but for {@link Kind#ADD_GATED}
 * @param gateOffset index of the gate of entry 0
 * @param entryStride distance of the entries' gates
 * @param rowsPerEntry rows of x that share an entry
 */
@SuppressWarnings("ArrayRecordComponent") // arguments under one name, never compared
public record Epilogue(Kind kind, float[] gate, int gateOffset, int entryStride, int rowsPerEntry) {
    public enum Kind {
        /** y = v. */
        STORE,
        /** y = gelu(v), the tanh form. */
        GELU,
        /** y += v. */
        ADD,
        /** y += v * gate. */
        ADD_GATED
    }

    public static final Epilogue STORE = new Epilogue(Kind.STORE, new float[0], 0, 0, 1);
    public static final Epilogue GELU = new Epilogue(Kind.GELU, new float[0], 0, 0, 1);
    public static final Epilogue ADD = new Epilogue(Kind.ADD, new float[0], 0, 0, 1);

    /** Index of the gate of a row's first feature. */
    public int gateIndex(int row) {
        return gateOffset + row / rowsPerEntry * entryStride;
    }
}
