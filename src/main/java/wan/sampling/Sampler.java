package wan.sampling;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.model.WanModel;
import wan.op.HostTensor;
import wan.op.WanException;
import wan.pass.Context;
import wan.pass.PassRunner;

/** Makes a video out of noise: a plan of passes as data, and the loop that runs them. */
public interface Sampler {
    /** What it runs; all of it is known before anything is computed. */
    RunPlan plan();

    /**
     * Runs the plan, or continues a run that was stopped. The result is bit for bit that of a run from the start.
     *
     * @param runner of {@link #open}, fresh, as is the source of noise: nothing has been drawn from it
     * @param from where an earlier run stopped; null for the start
     * @return clean latents of all frames, [B, T, C, H, W]; zeros where the plan ends before
     */
    HostTensor run(PassRunner runner, @Nullable Checkpoint from, RunListener listener);

    /** As the other, from the start. */
    default HostTensor run(PassRunner runner, RunListener listener) {
        return run(runner, null, listener);
    }

    /** The sampler of a plan's method. */
    static Sampler of(RunPlan plan, SamplerInputs inputs) {
        return switch (plan.settings().method()) {
            case Method.FewStep _, Method.RecomputedKeys _ -> new CausalSampler(plan, inputs);
            case Method.RollingWindow _ -> new RollingSampler(plan, inputs);
            case Method.Ode _ -> new OdeSampler(plan, inputs);
        };
    }

    /**
     * Whether it can {@link #fork}.
     */
    default boolean forks() {
        return false;
    }

    /**
     * Departs from a run that has been run on this runner, with a noise source from which nothing has been drawn. The caches
     * must hold what they held before the pass of departure.
     *
     * @return as {@link #run}
     * @throws UnsupportedOperationException unless it {@link #forks}
     */
    default HostTensor fork(PassRunner runner, Fork from, RunListener listener) {
        throw new UnsupportedOperationException("begins anew");
    }

    /** How many prompts it takes: the prompt, and later prompts or the negative prompt. */
    default int prompts() {
        return plan().contexts();
    }

    /**
     * What the passes name by number.
     *
     * @param prompts the prompt, then later prompts, or the negative prompt
     */
    default List<Context> contexts(List<Context> prompts) {
        int needed = prompts();
        if (prompts.size() < needed) {
            throw WanException.mismatch("prompts of the run", needed, prompts.size(), "");
        }
        return prompts;
    }

    /**
     * A runner with the caches that the plan needs.
     *
     * @param models the model; or the expert of low noise, then that of high noise
     * @param prompts the prompt, then later prompts, or the negative prompt
     */
    default PassRunner open(List<WanModel> models, List<Context> prompts) {
        RunSettings settings = plan().settings();
        return new PassRunner(
                models,
                contexts(prompts),
                settings.latentHeight(),
                settings.latentWidth(),
                plan().caches(),
                plan().numLayers());
    }

    /**
     * As the other, with one model and one prompt.
     *
     * @param promptEmbeds [B, textLen, textDim]
     */
    default PassRunner open(WanModel model, HostTensor promptEmbeds) {
        return open(List.of(model), List.of(new Context(promptEmbeds)));
    }

    /** Interpolates two embeddings: current + w (next - current), in float32. */
    static List<Context> interpolated(Context current, Context next, int steps) {
        List<Context> all = new ArrayList<>();
        for (int i = 0; i < steps; i++) {
            float width = 1f / Math.max(1, steps - 1);
            float weight = i < steps / 2 || steps == 1 ? width * i : 1 - width * (steps - 1 - i);
            float[] from = current.text().values();
            float[] to = next.text().values();
            float[] mixed = new float[from.length];
            for (int k = 0; k < mixed.length; k++) {
                mixed[k] = from[k] + weight * (to[k] - from[k]);
            }
            all.add(new Context(new HostTensor(current.text().shape(), mixed), current.image()));
        }
        return all;
    }
}
