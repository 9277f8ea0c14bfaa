package uk.ac.manchester.tornado.api;

/** How many work items run a kernel, and in groups of how many. */
public interface WorkerGrid {
    /** Items along each axis. */
    long[] getGlobalWork();

    /** Items of a group along each axis; null if the runtime may choose. */
    long[] getLocalWork();

    /** Sets the items. */
    void setGlobalWork(long x, long y, long z);

    /** Sets the items of a group. */
    void setLocalWork(long x, long y, long z);
}
