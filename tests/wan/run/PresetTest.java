package wan.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import wan.op.UsageException;
import wan.sampling.Method;
import wan.sampling.RunPlan;

class PresetTest {
    private static final RunSpec DEMO = RunSpec.of(RunSpec.Model.DEMO);

    static Stream<Preset> runnable() {
        return Preset.all().stream().filter(preset -> preset.refused() == null);
    }

    @ParameterizedTest
    @MethodSource("runnable")
    void over_givesARunThatCanBePlannedAndIsRecorded(Preset preset) {
        RunSpec run = preset.over(DEMO);
        assertThat(run.model().preset()).isEqualTo(preset.name());
        assertThat(preset.contradictions(run)).isEmpty();
        RunPlan plan = RunPlan.of(run.settings(4, 4, 0), 2);
        assertThat(plan.passes()).isNotEmpty();
        assertThat(SpecJson.read("spec", SpecJson.write(run))).isEqualTo(run);
    }

    @Test
    void contradictions_nameWhatDiffers() {
        Preset preset = Preset.named("rolling-forcing");
        assertThat(preset.contradictions(DEMO)).anyMatch(line -> line.startsWith("sampler.steps: "));
        assertThat(Preset.named("longlive").over(DEMO).cache()).isEqualTo(new RunSpec.Cache(12, 3));
        assertThat(Preset.named("wan2.2-t2v-a14b").over(DEMO).sampler().method())
                .isEqualTo(new Method.Ode(Method.Solver.UNIPC, 40, 3, 0.875f, 4, false, false));
    }

    @ParameterizedTest
    @CsvSource({
        "/models/Causal-Forcing/framewise/causal_forcing.pt, causal-forcing-framewise",
        "/models/Causal-Forcing/chunkwise/causal_forcing.pt, causal-forcing-chunkwise",
        "/models/self_forcing_dmd.pt, self-forcing",
        "/models/Wan2.1-T2V-1.3B, wan2.1-t2v-1.3b",
        "/models/wan2.1-t2v-14b-StepDistill-lightx2v.safetensors, step-distill-14b",
        "/models/mine.safetensors, ''"
    })
    void of_knowsACheckpointByItsName(Path model, String name) {
        assertThat(Preset.of(model).map(Preset::name).orElse("")).isEqualTo(name);
    }

    @Test
    void named_saysWhyACheckpointCannotRun_andWhatThereIs() {
        assertThatThrownBy(() -> Preset.named("vace"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("control layers are not supported");
        assertThatThrownBy(() -> Preset.named("nothing"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("expected one of self-forcing, ");
        List<String> refused = Preset.all().stream()
                .filter(preset -> preset.refused() != null)
                .map(Preset::name)
                .toList();
        assertThat(refused).contains("step-distill-14b", "longlive-2.0");
    }
}
