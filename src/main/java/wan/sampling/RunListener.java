package wan.sampling;

import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.op.HostTensor;
import wan.op.PassObserver;
import wan.pass.Pass;

/** Observes a run. */
@FunctionalInterface
public interface RunListener {
    /** Observes nothing. */
    RunListener NONE = pass -> PassObserver.NONE;

    /** Called before each pass; what it returns watches the pass. */
    PassObserver passStarted(Pass pass);

    /**
     * Called after each pass.
     *
     * @param latents the model's input, [B, f, C, H, W]
     * @param flow its prediction, or null where the plan does not need it
     * @param x0 the clean latents that it means, or null likewise
     */
    default void passDone(Pass pass, HostTensor latents, @Nullable HostTensor flow, @Nullable HostTensor x0) {}

    /**
     * Called with what a sampler computes besides flows: velocities, samples after a step.
     *
     * @param name as files name it: {@code step3.v_guided}
     * @param value [B, F, C, H, W]
     */
    default void tensor(String name, HostTensor value) {}

    /**
     * Called after a pass after which the run can be resumed, given {@link Checkpoint all such tensors so far}.
     *
     * @param passes how many of the plan's passes are done
     * @param name of what has to be kept, which no other has
     * @param kept clean latents of a finished frame block or of a window, or a solver's velocity, [B, f, C, H, W]
     */
    default void resumable(int passes, String name, HostTensor kept) {}

    /**
     * Whether a pass has to run again when a run is resumed although its input is not finished frames, because the
     * content of pages depends on it.
     */
    default boolean runsAgain(Pass pass) {
        return false;
    }

    /** Called when a run is resumed: the noise has been drawn again, and these passes will restore the caches. */
    default void restoring(List<Pass> passes) {}

    /** Called before each of these; what it returns watches the pass. */
    default PassObserver restoreStarted(Pass pass) {
        return PassObserver.NONE;
    }
}
