package capture;

/** The schema version of result files; docs/RESULT-FORMAT.md specifies it. */
public final class ResultSchema {
    /** The version of early builds, whose files have no such entry. */
    public static final int FIRST = 1;

    /** The version that is written now. It is raised when a reader of the previous version would misread a file. */
    public static final int VERSION = 2;

    private ResultSchema() {}
}
