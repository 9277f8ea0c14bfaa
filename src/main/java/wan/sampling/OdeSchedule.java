package wan.sampling;

import java.util.ArrayList;
import java.util.List;
import wan.op.UsageException;

/**
 * The noise levels of a solver's steps ({@code wan/utils/fm_solvers.py} and {@code fm_solvers_unipc.py} in Wan2.1), computed in double.
 *
 * @param timesteps what the model sees: whole numbers, truncated
 * @param sigmas noise levels, one more than steps; the last is 0
 */
record OdeSchedule(List<Integer> timesteps, List<Float> sigmas) {
    /** UniPC starts below 1, at the table's first entry, which is a float32. */
    private static final float UNIPC_FIRST = 0.999f;

    static OdeSchedule of(Method.Solver solver, int steps, float shift) {
        double high = solver == Method.Solver.UNIPC ? UNIPC_FIRST : 1;
        List<Integer> timesteps = new ArrayList<>();
        List<Float> sigmas = new ArrayList<>();
        for (int i = 0; i < steps; i++) {
            double u = i * ((0 - high) / steps) + high;
            double sigma = shift * u / (1 + (shift - 1) * u);
            timesteps.add((int) (FlowMatchScheduler.TRAIN_STEPS * sigma));
            sigmas.add((float) sigma);
        }
        if (steps > 1 && timesteps.get(0).equals(timesteps.get(1))) {
            throw new UsageException("steps of the solver: expected so few that the first two timesteps differ, got "
                    + steps + " with a shift of " + shift + "; the reference fails there");
        }
        sigmas.add(0f);
        return new OdeSchedule(List.copyOf(timesteps), List.copyOf(sigmas));
    }
}
