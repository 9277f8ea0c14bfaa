package wan.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** That it runs and says what it should; the figures are nobody's to test. */
class BenchCommandTest {
    private static final Object[] TINY = {
        "bench",
        "--seconds",
        "0.001",
        "--frames",
        "1,2",
        "--key-frames",
        "2",
        "--frame-seq-len",
        "6",
        "--dim",
        "48",
        "--ffn-dim",
        "80",
        "--num-heads",
        "2",
        "--threads",
        "2"
    };

    private static Object[] tiny(Object... more) {
        Object[] all = Arrays.copyOf(TINY, TINY.length + more.length);
        System.arraycopy(more, 0, all, TINY.length, more.length);
        return all;
    }

    @Test
    void bench_printsALinePerOperation() {
        CommandLineRun run = CommandLineRun.of(tiny());
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out())
                .contains("fma ceiling", "linear bf16", "12 x 48 -> 48", "linearGelu f32", "rmsNorm", "rope")
                .contains("attention+frame-logits", "attention+frame-mass", "12 x 12, 2 heads");
        assertThat(run.err()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"scalar", "vector"})
    void bench_printsJson_whenAsked(String kernels) {
        CommandLineRun run = CommandLineRun.of(tiny("--json", "--op", "linear", "--kernels", kernels));
        assertThat(run.exitCode()).as(run.err()).isZero();
        JsonNode root = JsonMapper.shared().readTree(run.out());
        assertThat(root.required("kernels").asString()).startsWith(kernels);
        assertThat(root.required("threads").asInt()).isEqualTo(2);
        assertThat(root.required("ops").size()).isEqualTo(12);
        for (JsonNode op : root.required("ops")) {
            assertThat(op.required("op").asString()).startsWith("linear");
            assertThat(op.required("gflops").asDouble()).isPositive();
            assertThat(op.required("ceiling_share").asDouble()).isPositive();
        }
    }

    @Test
    void bench_endsWithUsage_whenTheRequestMakesNoSense() {
        assertThat(CommandLineRun.of(tiny("--op", "nothing")).exitCode()).isEqualTo(2);
        assertThat(CommandLineRun.of(tiny("--kernels", "best")).err())
                .contains("--kernels: expected auto, vector or scalar, got best");
        assertThat(CommandLineRun.of(tiny("--dim", "50")).exitCode()).isEqualTo(2);
    }
}
