package wan.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.pass.PassId.Branch;
import wan.pass.PassId.Kind;

/** Plans cut short. */
class RunPlanTest {
    private static final int LAYERS = 30;

    private static RunPlan guided(boolean perFrameBlock) {
        return RunPlan.of(
                new RunSettings(
                        4,
                        4,
                        6,
                        0,
                        perFrameBlock ? 3 : 6,
                        false,
                        List.of(1000f),
                        5,
                        true,
                        -1,
                        0,
                        0,
                        new Method.Ode(Method.Solver.UNIPC, 4, 5, 2, 5, false, perFrameBlock)),
                LAYERS);
    }

    /** Name and layers of each pass, with a star where the flow is computed. */
    private static List<String> passes(RunPlan plan) {
        return plan.passes().stream()
                .map((Pass pass) -> pass.id() + " " + pass.numLayers() + (pass.flow() ? "*" : ""))
                .toList();
    }

    @Test
    void endingAt_runsBothCallsOfTheLastStep_onlyAsFarAsTheyAreWanted() {
        RunPlan plan = guided(false).endingAt(new PassId(Kind.STEP, 0, 1, Branch.UNCOND), 4);
        assertThat(passes(plan))
                .containsExactly("step0.cond 30*", "step0.uncond 30*", "step1.cond 4", "step1.uncond 4");
        RunPlan conditional = guided(false).endingAt(new PassId(Kind.STEP, 0, 0, Branch.COND), 1);
        assertThat(passes(conditional)).containsExactly("step0.cond 1");
    }

    @Test
    void endingAt_runsContextPassesBeforeTheLastStep_onlyForTheirKeys() {
        RunPlan plan = guided(true).endingAt(new PassId(Kind.DENOISE, 1, 0, Branch.UNCOND), 4);
        assertThat(passes(plan).subList(6, plan.passes().size()))
                .containsExactly(
                        "block0.step3.cond 30*",
                        "block0.step3.uncond 30*",
                        "block0.ctx.cond 4",
                        "block0.ctx.uncond 4",
                        "block1.step0.cond 4",
                        "block1.step0.uncond 4");
    }
}
