package capture;

/** The schema version of result files; docs/RESULT-FORMAT.md specifies it. */
public final class ResultSchema {
    /** Of early builds, whose files have no such entry. */
    public static final int FIRST = 1;

    /** What is written now: raised when a reader of the version before would misread a file. */
    public static final int VERSION = 2;

    private ResultSchema() {}
}
