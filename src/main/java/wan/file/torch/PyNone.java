package wan.file.torch;

/** Python's None, so that no collection of ours holds a null. */
public enum PyNone {
    /** The one value. */
    NONE;

    @Override
    public String toString() {
        return "None";
    }
}
