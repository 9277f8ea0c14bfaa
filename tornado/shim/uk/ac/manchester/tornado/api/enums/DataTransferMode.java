package uk.ac.manchester.tornado.api.enums;

/** When an array moves between host and device. */
public class DataTransferMode {
    /** Once. */
    public static final int FIRST_EXECUTION = 0;
    /** With every execution of the graph. */
    public static final int EVERY_EXECUTION = 1;
    /** When asked for. */
    public static final int UNDER_DEMAND = 2;
}
