package wan.app.command;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.data.Percentage.withPercentage;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.app.CommandLineRun;

/** That it runs and says what it should; the figures are nobody's to test. */
@Tag("slow")
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
        "--text-len",
        "5",
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

    /** With every layer made, and estimated from two. */
    @ParameterizedTest
    @CsvSource({"2, 2, pass bf16", "4, 2, pass bf16 from 2 layers"})
    void bench_measuresLayersAndPasses_whenNamed(int layers, int measured, String pass) {
        CommandLineRun run = CommandLineRun.of(
                tiny("--json", "--op", "layer,pass", "--layers", layers, "--measured-layers", measured));
        assertThat(run.exitCode()).as(run.err()).isZero();
        List<String> ops = new ArrayList<>();
        Map<String, Double> flops = new HashMap<>();
        for (JsonNode row : JsonMapper.shared().readTree(run.out()).required("ops")) {
            String op = row.required("op").asString();
            String shape = row.required("shape").asString();
            ops.add(op + " " + shape);
            flops.put(
                    op + " " + shape,
                    row.required("gflops").asDouble()
                            * row.required("median_nanos").asDouble());
        }
        assertThat(ops)
                .containsExactly(
                        "layer bf16 6 x 12, 2 heads",
                        "layer bf16+frame-logits 6 x 12, 2 heads",
                        "layer bf16+frame-mass 6 x 12, 2 heads",
                        "layer bf16 12 x 12, 2 heads",
                        "layer bf16+frame-logits 12 x 12, 2 heads",
                        "layer bf16+frame-mass 12 x 12, 2 heads",
                        pass + " 6 x 12, " + layers + " layers",
                        pass + " 12 x 12, " + layers + " layers");
        // 2 (rows dim (6 dim + 2 ffn) + 2 rows dim (keys + text))
        double layer = 2 * (12 * 48 * (6 * 48 + 2 * 80) + 2 * 12 * 48 * (12 + 5));
        assertThat(flops.get("layer bf16 12 x 12, 2 heads")).isCloseTo(layer, withPercentage(0.1));
        assertThat(flops.get(pass + " 12 x 12, " + layers + " layers")).isCloseTo(layers * layer, withPercentage(0.1));
    }

    @Test
    void bench_storesTheWeightsOfLayers_asAsked() {
        CommandLineRun run = CommandLineRun.of(tiny("--op", "layer", "--weights", "f32,f16"));
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out()).contains("layer f32 ", "layer f16+frame-mass").doesNotContain("bf16", "layerNorm");
    }

    @Test
    void serve_answersEveryLine_andFreesOperandsOnAnEmptyOne() {
        InputStream saved = System.in;
        String asked = "0.001 linear f32 6 x 48 -> 48\n0 layer bf16 6 x 12, 2 heads\n\n0.001 linear f32 6 x 48 -> 48\n";
        CommandLineRun run;
        try {
            System.setIn(new ByteArrayInputStream(asked.getBytes(UTF_8)));
            run = CommandLineRun.of(tiny("--serve", "--op", "linear,layer"));
        } finally {
            System.setIn(saved);
        }
        assertThat(run.exitCode()).as(run.err()).isZero();
        List<JsonNode> lines = run.out()
                .lines()
                .map(line -> JsonMapper.shared().readTree(line))
                .toList();
        assertThat(lines).hasSize(4);
        assertThat(lines.getFirst().required("ceiling_gflops").asDouble()).isPositive();
        assertThat(lines.subList(1, 4))
                .extracting(line -> line.required("op").asString())
                .containsExactly("linear f32", "layer bf16", "linear f32");
        assertThat(lines.get(2).required("runs").asInt()).isEqualTo(1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"linear f32 6 x 48 -> 48", "1 linear f32 7 x 48 -> 48", "1"})
    void serve_endsWithUsage_whenALineMakesNoSense(String line) {
        InputStream saved = System.in;
        try {
            System.setIn(new ByteArrayInputStream((line + "\n").getBytes(UTF_8)));
            CommandLineRun run = CommandLineRun.of(tiny("--serve", "--op", "linear"));
            assertThat(run.exitCode()).isEqualTo(2);
            assertThat(run.err()).contains("bench --serve: ", line);
        } finally {
            System.setIn(saved);
        }
    }

    @Test
    void bench_endsWithUsage_whenTheRequestMakesNoSense() {
        assertThat(CommandLineRun.of(tiny("--op", "nothing")).exitCode()).isEqualTo(2);
        assertThat(CommandLineRun.of(tiny("--kernels", "best")).err())
                .contains("--kernels: expected auto, vector or scalar, got best");
        assertThat(CommandLineRun.of(tiny("--dim", "50")).exitCode()).isEqualTo(2);
        assertThat(CommandLineRun.of("bench", "--op", "layer", "--frames", "3", "--key-frames", "2")
                        .err())
                .contains("--op layer: a pass attends to its own frames, but every --key-frames is below --frames");
        assertThat(CommandLineRun.of(tiny("--op", "pass", "--measured-layers", "1"))
                        .err())
                .contains("--measured-layers: expected 2 or more");
        assertThat(CommandLineRun.of(tiny("--op", "layer", "--weights", "i8")).err())
                .contains("--weights: expected bf16, f32 or f16, got i8");
    }
}
