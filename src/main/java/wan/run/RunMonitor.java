package wan.run;

import java.util.concurrent.CancellationException;
import wan.op.Ops;
import wan.pass.Pass;

/** Observes a run and can stop it. By default every method does nothing. All are called on the thread of the run. */
public interface RunMonitor {
    /** Observes nothing. */
    RunMonitor NONE = new RunMonitor() {};

    /** A notice for the user that is not an error. */
    default void notice(String text) {}

    /** Progress of the text encoder, in layers; not called if embeddings come from the cache. */
    default void encoding(int layersDone, int layers) {}

    /** Called before the first pass. */
    default void started(Job job) {}

    /** The run continues an earlier one, of which this many passes are done. */
    default void resumed(int passes, String progress) {}

    /** This many passes of finished frames run again first, to fill the KV caches. */
    default void restoring(int passes) {}

    /** A pass begins. */
    default void passStarted(Pass pass) {}

    /** A layer of the current pass is done. */
    default void layerDone(int layer) {}

    /** A checkpoint: the run can be resumed from here, after this many passes. */
    default void resumable(int passes) {}

    /** The last pass is over, or the run has failed. */
    default void ended() {}

    /** Whether the run should stop; asked before every pass and layer. Earlier captures are kept. */
    default boolean cancelled() {
        return false;
    }

    /** Wraps the backend, for measurements. */
    default Ops instrument(Ops ops) {
        return ops;
    }

    /** Stops the run if {@link #cancelled}. */
    default void checkCancelled() {
        if (cancelled()) {
            throw new CancellationException("stopped");
        }
    }
}
