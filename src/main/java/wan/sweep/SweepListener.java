package wan.sweep;

import wan.run.RunMonitor;

/**
 * Observes a sweep, and each of its runs as a {@link RunMonitor}. After {@link #cancelled} returns true, the current frame block is still
 * finished. All methods are called from the thread that computes.
 */
public interface SweepListener extends RunMonitor {
    /** Observes nothing. */
    SweepListener NONE = new SweepListener() {};

    /**
     * Progress of the whole sweep, over all processes.
     *
     * @param runs all runs
     * @param done runs whose result exists
     * @param failed runs that will not be tried again
     * @param own runs of this process's own part that are left
     */
    record Counts(int runs, int done, int failed, int own) {
        /** Runs that are neither done nor failed. */
        public int left() {
            return runs - done - failed;
        }
    }

    /** The sweep starts or continues. */
    default void began(Counts counts) {}

    /** A run starts, for the first time or again. */
    default void runBegan(SweepRun run, int attempt) {}

    /** A run's result is in place. */
    default void runDone(SweepRun run, double seconds, Counts counts) {}

    /**
     * A run has failed.
     *
     * @param again whether it will be tried again
     */
    default void runFailed(SweepRun run, String error, boolean again, Counts counts) {}
}
