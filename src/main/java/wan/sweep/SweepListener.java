package wan.sweep;

import wan.run.RunMonitor;

/**
 * Follows a sweep, and each of its runs as a {@link RunMonitor}. When it says that it is {@link #cancelled}, the present frame block is
 * finished first. All methods are called from the thread that runs.
 */
public interface SweepListener extends RunMonitor {
    /** Follows nothing. */
    SweepListener NONE = new SweepListener() {};

    /**
     * How far the whole sweep is, whoever did it.
     *
     * @param runs all of them
     * @param done whose result is there
     * @param failed that will not be tried again
     * @param own of this process' part that are left
     */
    record Counts(int runs, int done, int failed, int own) {
        /** Neither done nor failed. */
        public int left() {
            return runs - done - failed;
        }
    }

    /** The sweep begins, or goes on. */
    default void began(Counts counts) {}

    /** A run begins, for the first time or again. */
    default void runBegan(SweepRun run, int attempt) {}

    /** A run's result is in its place. */
    default void runDone(SweepRun run, double seconds, Counts counts) {}

    /**
     * A run has failed.
     *
     * @param again whether it is tried again
     */
    default void runFailed(SweepRun run, String error, boolean again, Counts counts) {}
}
