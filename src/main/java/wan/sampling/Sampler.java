package wan.sampling;

import java.util.List;
import wan.model.WanModel;
import wan.op.HostTensor;
import wan.pass.Context;
import wan.pass.PassRunner;

/** Makes a video out of noise: a plan of passes as data, and the loop that runs them. */
public interface Sampler {
    /** What it runs; all of it is known before anything is computed. */
    RunPlan plan();

    /**
     * Runs the plan.
     *
     * @param runner of {@link #open}
     * @return clean latents of all frames, [B, T, C, H, W]; zeros where the plan ends before
     */
    HostTensor run(PassRunner runner, RunListener listener);

    /**
     * A runner with the caches that the plan needs.
     *
     * @param contexts what the passes name by number: the prompt, the negative prompt, later prompts
     */
    default PassRunner open(WanModel model, List<Context> contexts) {
        RunSettings settings = plan().settings();
        return new PassRunner(
                model, contexts, settings.latentHeight(), settings.latentWidth(), plan().caches(), plan().numLayers());
    }

    /**
     * As the other, with one prompt.
     *
     * @param promptEmbeds [B, textLen, textDim]
     */
    default PassRunner open(WanModel model, HostTensor promptEmbeds) {
        return open(model, List.of(new Context(promptEmbeds)));
    }
}
