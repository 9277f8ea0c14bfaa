package wan.run;

/** What to do about the partial data of an earlier run of the same name. */
public enum Leftovers {
    /** Refuse to begin if a run can go on with it; else begin anew. */
    KEEP,
    /** Go on with it; begin anew where there is none. */
    RESUME,
    /** Remove it and begin anew. */
    DISCARD
}
