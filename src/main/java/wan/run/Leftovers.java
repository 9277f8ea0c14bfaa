package wan.run;

/** What to do with the data of an unfinished run of the same name. */
public enum Leftovers {
    /** Refuse to start if the data can be resumed; otherwise start from the beginning. */
    KEEP,
    /** Continue from the data; start from the beginning if there is none. */
    RESUME,
    /** Remove the data and start from the beginning. */
    DISCARD
}
