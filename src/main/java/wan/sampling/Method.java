package wan.sampling;

import java.util.ArrayList;
import java.util.List;

/** How noise becomes video; what a method needs besides the settings that all share. */
public sealed interface Method {
    /** Self-Forcing, without prompt switches. */
    Method SELF_FORCING = new FewStep(List.of(), CacheRule.SELF_FORCING, false, List.of(), true);

    /** What a window does with slots that hold no frame, and with a sink. */
    enum CacheRule {
        /** {@link wan.cache.KvCursor}. */
        SELF_FORCING,
        /** {@link wan.cache.LongLiveCursor}. */
        LONGLIVE
    }

    /** Numerical solvers of the flow's differential equation. */
    enum Solver {
        /** UniPC of order 2, Wan's default. */
        UNIPC,
        /** DPM-Solver++ of order 2. */
        DPMPP;

        /** As options spell it: {@code unipc}, {@code dpm++}. */
        public String option() {
            return this == UNIPC ? "unipc" : "dpm++";
        }
    }

    /**
     * Frame blocks one after the other, each in a few steps with fresh noise between them: Self-Forcing, Causal Forcing,
     * LongLive.
     *
     * @param firstBlockSteps denoising steps of the first frame block; empty for those of all
     * @param rule of the window
     * @param slotPositions whether keys stand at their slot's time position rather than at their absolute frame's (LongLive's
     *     infinite attention)
     * @param switchFrames frame numbers; the first frame block that starts at or after one of them has the next prompt
     * @param globalSink whether the sink's keys survive a prompt switch
     */
    record FewStep(
            List<Float> firstBlockSteps,
            CacheRule rule,
            boolean slotPositions,
            List<Integer> switchFrames,
            boolean globalSink)
            implements Method {
        /** Copies the lists. */
        public FewStep {
            firstBlockSteps = List.copyOf(firstBlockSteps);
            switchFrames = List.copyOf(switchFrames);
        }
    }

    /**
     * Windows of frame blocks at falling noise levels, denoised together, with the first frame block as an anchor: Rolling
     * Forcing.
     *
     * @param cacheFrames frames that the cache holds
     * @param maxAttentionFrames most frames that a pass attends to
     */
    record RollingWindow(int cacheFrames, int maxAttentionFrames) implements Method {}

    /**
     * Frame blocks one after the other, all keys of the context recomputed before each: Krea realtime.
     *
     * @param contextFrames finished frames that a frame block sees
     * @param keepFirstFrame whether the first of them stays frame 0; otherwise it becomes a re-encoded picture
     * @param promptChangeBlock the frame block from which on the second prompt is faded in; -1 for none
     * @param interpolationSteps number of frame blocks over which it is faded in
     */
    record RecomputedKeys(int contextFrames, boolean keepFirstFrame, int promptChangeBlock, int interpolationSteps)
            implements Method {
        /** {@code steps} whole numbers from 1000 down to 0, evenly spaced as float32 and truncated, as the reference spaces them. */
        public static List<Float> steps(int steps) {
            float width = -1000f / Math.max(1, steps - 1);
            List<Float> spaced = new ArrayList<>();
            for (int i = 0; i < steps; i++) {
                float value = i < steps / 2 || steps == 1 ? 1000 + width * i : -width * (steps - 1 - i);
                spaced.add((float) (int) value);
            }
            return spaced;
        }
    }

    /**
     * All frames at once, by a solver of the differential equation and with guidance: Wan itself.
     *
     * @param solver which
     * @param steps of the solver
     * @param guideScale how far the prediction is led away from the negative prompt; 1 for no guidance
     * @param boundary the timestep, on the scale 0 to 1, from which on (and above) the expert of high noise runs; 2 where there is
     *     one model only
     * @param highNoiseGuideScale the guide scale of that expert
     * @param pictureFirst whether the first latent frame is that of a picture, which stays as it is, at timestep 0 (TI2V-5B)
     * @param perFrameBlock whether frame blocks come one after the other, each through all steps (Causal Forcing's undistilled model)
     */
    record Ode(
            Solver solver,
            int steps,
            float guideScale,
            float boundary,
            float highNoiseGuideScale,
            boolean pictureFirst,
            boolean perFrameBlock)
            implements Method {
        /** One model. */
        public Ode(Solver solver, int steps, float guideScale) {
            this(solver, steps, guideScale, 2, guideScale, false, false);
        }

        /** The same with a picture as first frame. */
        public Ode withPicture() {
            return new Ode(solver, steps, guideScale, boundary, highNoiseGuideScale, true, perFrameBlock);
        }

        /** Whether steps run with the negative prompt too. */
        public boolean guided() {
            return guideScale != 1 || highNoiseGuideScale != 1;
        }
    }
}
