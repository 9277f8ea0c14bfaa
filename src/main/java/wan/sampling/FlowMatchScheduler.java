package wan.sampling;

import java.util.ArrayList;
import java.util.List;
import wan.op.HostTensor;
import wan.op.UsageException;

/**
 * The flow-matching schedule: 1000 training steps, shifted towards noise ({@code utils/scheduler.py} and {@code
 * utils/wan_wrapper.py} in the reference, with {@code sigma_min} 0 and {@code extra_one_step}).
 */
public final class FlowMatchScheduler {
    /** Training steps, and the scale of timesteps. */
    public static final int TRAIN_STEPS = 1000;

    private final float[] sigmas = new float[TRAIN_STEPS];
    private final float[] timesteps = new float[TRAIN_STEPS];

    /**
     * Builds the table, all in float32: u = 1 - i / 1000, sigma = shift u / (1 + (shift - 1) u), timestep = 1000 sigma.
     *
     * @param shift above 0; 1 leaves the schedule linear
     */
    public FlowMatchScheduler(float shift) {
        for (int i = 0; i < TRAIN_STEPS; i++) {
            float u = (float) (1.0 - i / (double) TRAIN_STEPS);
            sigmas[i] = shift * u / (1 + (shift - 1) * u);
            timesteps[i] = TRAIN_STEPS * sigmas[i];
        }
    }

    /** Noise levels of the table, falling from 1: [1000]. */
    public float[] sigmas() {
        return sigmas.clone();
    }

    /** Timesteps of the table: [1000]. */
    public float[] timesteps() {
        return timesteps.clone();
    }

    /**
     * Moves configured steps onto the table: v becomes element 1000 - v of the timesteps followed by one 0.
     *
     * @param steps whole numbers from 0 to 1000
     */
    public List<Float> warp(List<Float> steps) {
        List<Float> warped = new ArrayList<>();
        for (float step : steps) {
            if (step != (int) step || step < 0 || step > TRAIN_STEPS) {
                throw new UsageException("sampler.steps: warped steps are whole numbers from 0 to 1000, got " + step
                        + "; sampler.warp false takes timesteps as they are");
            }
            warped.add(step == 0 ? 0f : timesteps[TRAIN_STEPS - (int) step]);
        }
        return warped;
    }

    /** Index of the table entry nearest to a timestep; the first one on a tie. */
    public int nearest(float timestep) {
        int best = 0;
        for (int i = 1; i < TRAIN_STEPS; i++) {
            if (Math.abs(timesteps[i] - timestep) < Math.abs(timesteps[best] - timestep)) {
                best = i;
            }
        }
        return best;
    }

    /** The noise level of a timestep: that of the nearest table entry, so it is not 0 at timestep 0. */
    public float sigma(float timestep) {
        return sigmas[nearest(timestep)];
    }

    /**
     * x0 = x_t - sigma flow, in double, rounded once.
     *
     * @param flow any shape
     * @param xt the same shape
     */
    public HostTensor toX0(HostTensor flow, HostTensor xt, float timestep) {
        double sigma = sigma(timestep);
        float[] out = new float[xt.values().length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (float) (xt.values()[i] - sigma * flow.values()[i]);
        }
        return new HostTensor(xt.shape(), out);
    }

    /**
     * flow = (x_t - x0) / sigma, the inverse of {@link #toX0}.
     *
     * @param x0 any shape
     * @param xt the same shape
     */
    public HostTensor toFlow(HostTensor x0, HostTensor xt, float timestep) {
        double sigma = sigma(timestep);
        float[] out = new float[xt.values().length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (float) (((double) xt.values()[i] - x0.values()[i]) / sigma);
        }
        return new HostTensor(xt.shape(), out);
    }

    /**
     * (1 - sigma) x0 + sigma noise, in float32.
     *
     * @param x0 any shape
     * @param noise the same shape
     */
    public HostTensor addNoise(HostTensor x0, HostTensor noise, float timestep) {
        float sigma = sigma(timestep);
        float[] out = new float[x0.values().length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (1 - sigma) * x0.values()[i] + sigma * noise.values()[i];
        }
        return new HostTensor(x0.shape(), out);
    }
}
