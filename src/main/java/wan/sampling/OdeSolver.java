package wan.sampling;

import org.jspecify.annotations.Nullable;
import wan.op.HostTensor;

/**
 * Solvers of order 2 for flow matching: UniPC (B(h) = e^h - 1) and DPM-Solver++ (2M, midpoint), as Wan2.1 configures them. Coefficients
 * are doubles; samples are rounded to float32 after each step.
 *
 * <p>With alpha = 1 - sigma and lambda = ln(alpha) - ln(sigma), both work in lambda on the clean prediction m = x - sigma v. Infinite
 * lambdas, at sigma 0 and 1, come out right.
 */
final class OdeSolver {
    private final Method.Solver solver;
    private final OdeSchedule schedule;
    /** Predictions of the clean sample at this step and the two before. */
    private double[] m0 = {};

    private double[] m1 = {};
    private double[] m2 = {};
    /** The last step's sample, after correction. */
    private double[] y = {};

    private int lastOrder;

    OdeSolver(Method.Solver solver, OdeSchedule schedule) {
        this.solver = solver;
        this.schedule = schedule;
    }

    /**
     * One step; they are taken in order.
     *
     * @param i from 0
     * @param v the model's velocity at x
     * @param x the sample
     * @return the sample of the next step
     */
    HostTensor step(int i, HostTensor v, HostTensor x) {
        double[] sample = new double[x.values().length];
        double[] prediction = new double[sample.length];
        for (int k = 0; k < sample.length; k++) {
            sample[k] = x.values()[k];
            prediction[k] = sample[k] - sigma(i) * v.values()[k];
        }
        m2 = m1;
        m1 = m0;
        m0 = prediction;
        int steps = schedule.timesteps().size();
        if (solver == Method.Solver.UNIPC) {
            y = i == 0 ? sample : correct(i - 1);
            lastOrder = Math.min(2, Math.min(steps - i, i + 1));
        } else {
            y = sample;
            lastOrder = i == 0 || i == steps - 1 ? 1 : 2;
        }
        return rounded(x, predict(i, lastOrder));
    }

    /** The current step's sample after correction; null with a solver that does not correct. */
    @Nullable
    HostTensor corrected(HostTensor x) {
        return solver == Method.Solver.UNIPC ? rounded(x, y) : null;
    }

    /** From step i to the next: first order, and with the second the slope of the predictions. */
    private double[] predict(int i, int order) {
        double factor = factor(i);
        double slope = order == 1 ? 0 : -factor * 0.5 / ((lambda(i - 1) - lambda(i)) / h(i));
        double[] next = new double[y.length];
        for (int k = 0; k < next.length; k++) {
            next[k] = ratio(i) * y[k] - factor * m0[k];
            if (order == 2) {
                next[k] += slope * (m1[k] - m0[k]);
            }
        }
        return next;
    }

    /** Goes once more from step i to the present one, which is the next, now that its prediction is known. */
    private double[] correct(int i) {
        double h = h(i);
        double e = Math.expm1(-h);
        double r = lastOrder == 1 ? 1 : (lambda(i - 1) - lambda(i)) / h;
        double p1 = e / -h - 1;
        double b1 = p1 / e;
        double b2 = 2 * (p1 / -h - 0.5) / e;
        double rho1 = lastOrder == 1 ? 0 : (b1 - b2) / (1 - r);
        double rho2 = lastOrder == 1 ? 0.5 : b1 - rho1;
        double factor = factor(i);
        double[] out = new double[y.length];
        for (int k = 0; k < out.length; k++) {
            double slope = rho2 * (m0[k] - m1[k]);
            if (lastOrder == 2) {
                slope += rho1 * (m2[k] - m1[k]) / r;
            }
            out[k] = ratio(i) * y[k] - factor * (m1[k] + slope);
        }
        return out;
    }

    /** sigma_b / sigma_a. */
    private double ratio(int i) {
        return sigma(i + 1) / sigma(i);
    }

    /** alpha_b (e^-h - 1). */
    private double factor(int i) {
        return (1 - sigma(i + 1)) * Math.expm1(-h(i));
    }

    private double h(int i) {
        return lambda(i + 1) - lambda(i);
    }

    private double lambda(int i) {
        return Math.log(1 - sigma(i)) - Math.log(sigma(i));
    }

    private double sigma(int i) {
        return schedule.sigmas().get(i);
    }

    private static HostTensor rounded(HostTensor like, double[] values) {
        float[] out = new float[values.length];
        for (int k = 0; k < out.length; k++) {
            out[k] = (float) values[k];
        }
        return new HostTensor(like.shape(), out);
    }
}
