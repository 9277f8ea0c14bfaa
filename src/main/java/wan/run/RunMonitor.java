package wan.run;

import java.util.concurrent.CancellationException;
import wan.op.Ops;
import wan.pass.Pass;

/** Follows a run and may end it. Every method has a default that does nothing; all are called from the thread that runs. */
public interface RunMonitor {
    /** Follows nothing. */
    RunMonitor NONE = new RunMonitor() {};

    /** Something that the user should know and that is no error. */
    default void notice(String text) {}

    /** So many layers of the text encoder are done; not called where embeddings were kept. */
    default void encoding(int layersDone, int layers) {}

    /** The job is about to run its first pass. */
    default void started(Job job) {}

    /** The run goes on from where an earlier one ended: so many of its passes are done. */
    default void resumed(int passes, String progress) {}

    /** So many passes of finished frames run again first, to fill the caches. */
    default void restoring(int passes) {}

    /** A pass begins. */
    default void passStarted(Pass pass) {}

    /** A layer of the present pass is done. */
    default void layerDone(int layer) {}

    /** The run could go on from here, if it ended now: so many of its passes are done. */
    default void resumable(int passes) {}

    /** The last pass is over, or the run has failed. */
    default void ended() {}

    /** Whether the run should end; asked before every pass and layer. What was captured until then is kept. */
    default boolean cancelled() {
        return false;
    }

    /** Wraps the backend, for one who measures it. */
    default Ops instrument(Ops ops) {
        return ops;
    }

    /** Ends the run if that was asked for. */
    default void checkCancelled() {
        if (cancelled()) {
            throw new CancellationException("stopped");
        }
    }
}
