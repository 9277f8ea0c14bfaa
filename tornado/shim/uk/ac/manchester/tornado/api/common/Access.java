package uk.ac.manchester.tornado.api.common;

/** What a task does to an argument. */
public enum Access {
    /** Reads it. */
    READ_ONLY,
    /** Writes all of it. */
    WRITE_ONLY,
    /** Reads it and writes some of it. */
    READ_WRITE,
}
