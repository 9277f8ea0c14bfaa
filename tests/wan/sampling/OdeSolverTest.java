package wan.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.Goldens;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.UsageException;

/** UniPC and DPM-Solver++ against the reference's trajectories over synthetic models. */
class OdeSolverTest {
    private static final String FILE = "golden2/samplers";
    private static final double PER_STEP = 1e-5;
    private static final double FREE = 2e-5;

    static Stream<String> runs() {
        try (Goldens golden = Goldens.open(FILE)) {
            List<String> names = new ArrayList<>();
            JsonMapper.shared()
                    .readTree(golden.file().metadata().get("runs"))
                    .forEach(run -> names.add(run.get("name").asString()));
            return names.stream();
        }
    }

    private static JsonNode run(Goldens golden, String name) {
        for (JsonNode run :
                JsonMapper.shared().readTree(golden.file().metadata().get("runs"))) {
            if (run.get("name").asString().equals(name)) {
                return run;
            }
        }
        throw new IllegalArgumentException(name);
    }

    private static Method.Solver solver(JsonNode run) {
        return run.get("solver").asString().equals("unipc") ? Method.Solver.UNIPC : Method.Solver.DPMPP;
    }

    private static OdeSchedule schedule(JsonNode run) {
        return OdeSchedule.of(
                solver(run), run.get("steps").asInt(), (float) run.get("shift").asDouble());
    }

    /** Entry i of a tensor's first axis. */
    private static HostTensor entry(HostTensor all, int i) {
        long[] dims = all.shape().dims();
        Shape shape = Shape.of(Arrays.copyOfRange(dims, 1, dims.length));
        int size = shape.intSize();
        return new HostTensor(shape, Arrays.copyOfRange(all.values(), i * size, (i + 1) * size));
    }

    private static double[] doubles(HostTensor tensor) {
        double[] out = new double[tensor.values().length];
        Arrays.setAll(out, i -> tensor.values()[i]);
        return out;
    }

    @ParameterizedTest
    @MethodSource("runs")
    void schedule_isTheReferences_toTheBit(String name) {
        try (Goldens golden = Goldens.open(FILE)) {
            OdeSchedule schedule = schedule(run(golden, name));
            List<Integer> timesteps = new ArrayList<>();
            for (double t : golden.file().tensor(name + "/timesteps").toDoubles()) {
                timesteps.add((int) t);
            }
            assertThat(schedule.timesteps()).isEqualTo(timesteps);
            List<Float> sigmas = new ArrayList<>();
            for (float sigma : golden.get(name + "/sigmas").values()) {
                sigmas.add(sigma);
            }
            assertThat(schedule.sigmas()).isEqualTo(sigmas);
        }
    }

    @ParameterizedTest
    @MethodSource("runs")
    void step_reproducesEverySample_fromTheStoredOnes(String name) {
        try (Goldens golden = Goldens.open(FILE)) {
            JsonNode run = run(golden, name);
            OdeSolver solver = new OdeSolver(solver(run), schedule(run));
            HostTensor samples = golden.get(name + "/samples");
            HostTensor outputs = golden.get(name + "/model_outputs");
            for (int i = 0; i < run.get("steps").asInt(); i++) {
                HostTensor x = entry(samples, i);
                HostTensor next = solver.step(i, entry(outputs, i), x);
                Goldens.assertClose(name + " step " + i, next.values(), doubles(entry(samples, i + 1)), PER_STEP);
                HostTensor corrected = solver.corrected(x);
                assertThat(corrected != null).isEqualTo(golden.has(name + "/corrected"));
                if (corrected != null) {
                    Goldens.assertClose(
                            name + " corrected " + i,
                            corrected.values(),
                            doubles(entry(golden.get(name + "/corrected"), i)),
                            PER_STEP);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("runs")
    void step_reproducesTheTrajectory_runningFreely(String name) {
        try (Goldens golden = Goldens.open(FILE)) {
            JsonNode run = run(golden, name);
            JsonNode config = golden.config();
            OdeSchedule schedule = schedule(run);
            OdeSolver solver = new OdeSolver(solver(run), schedule);
            HostTensor samples = golden.get(name + "/samples");
            HostTensor x = golden.get("x_init");
            for (int i = 0; i < schedule.timesteps().size(); i++) {
                HostTensor v = velocity(
                        x, schedule.timesteps().get(i), run.get("model").asString(), config);
                x = solver.step(i, v, x);
                Goldens.assertClose(name + " sample " + (i + 1), x.values(), doubles(entry(samples, i + 1)), FREE);
            }
        }
    }

    private static HostTensor velocity(HostTensor x, int t, String model, JsonNode config) {
        float[] v = new float[x.values().length];
        double a = config.get("a").asDouble();
        double scale = config.get("guide_scale").asDouble();
        double period = config.get("period").asDouble();
        for (int i = 0; i < v.length; i++) {
            double cond = a * x.values()[i] + Math.sin(t / period);
            double uncond = 0.2 * Math.tanh(x.values()[i]) + Math.cos(t / 700.0);
            v[i] = (float) (model.equals("guided") ? uncond + scale * (cond - uncond) : cond);
        }
        return new HostTensor(x.shape(), v);
    }

    @Test
    void schedule_refusesStepsThatTheReferenceCannotRun() {
        assertThatThrownBy(() -> OdeSchedule.of(Method.Solver.UNIPC, 100, 12))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("the first two timesteps differ");
    }
}
