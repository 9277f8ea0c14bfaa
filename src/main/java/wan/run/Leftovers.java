package wan.run;

/** What to do with the data of an unfinished run of the same name. */
public enum Leftovers {
    /** Refuse to begin if a run can go on with it; else begin anew. */
    KEEP,
    /** Go on with it; begin anew where there is none. */
    RESUME,
    /** Remove it and begin anew. */
    DISCARD
}
