package wan.app.command;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import capture.analysis.Measure;
import capture.analysis.ResultFiles;
import capture.analysis.RoleRule;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.file.TensorStore;
import wan.op.DType;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.UsageException;

class AnalyzeCommandTest {
    @TempDir
    static Path dir;

    static Path one;
    static Path two;

    @BeforeAll
    static void makeResults() {
        one = ResultFiles.made(dir.resolve("one.safetensors"), 3, 4, 4, 2, 5, "a prompt");
        two = ResultFiles.made(dir.resolve("two.safetensors"), 3, 4, 4, 2, 6, "another");
    }

    private static String analyze(Object... args) {
        AnalyzeCommand command = new AnalyzeCommand();
        StringWriter out = new StringWriter();
        CommandLine line = new CommandLine(command)
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setOut(new PrintWriter(out));
        line.parseArgs(List.of(args).stream().map(Object::toString).toArray(String[]::new));
        assertThat(command.call()).isZero();
        return out.toString();
    }

    @Test
    void table_hasEveryHeadMeasureAndRule_andSaysWhichConstantsAreOpen() {
        String table = analyze(one);
        assertThat(table).contains("one: 12 heads, step0, queries of frame block 3 (frames 7 to 9)");
        for (Measure measure : Measure.values()) {
            assertThat(table).contains(measure.id());
        }
        assertThat(table)
                .contains("L3H4", "anchor share 0.25 (default published)")
                .contains("wave share 0.3 (not published, default ours)");
        assertThat(table.lines().filter(line -> line.matches("[012] +[0-3] +L\\dH\\d .*")))
                .hasSize(12);
    }

    @Test
    void csv_hasARowForEveryHeadOfEveryRun() {
        List<String> lines = analyze(
                        one, two, "--format", "csv", "--measure", "sink_score,entropy", "--roles", "forcing-kv")
                .lines()
                .toList();
        assertThat(lines.getFirst()).isEqualTo("run,pass,frame_block,layer,head,label,sink_score,entropy,forcing-kv");
        assertThat(lines).hasSize(1 + 2 * 12);
        assertThat(lines.getLast()).startsWith("two,step0,3,2,3,L3H4,");
    }

    @Test
    void json_holdsAgreementOfRuns() {
        JsonNode same = JsonMapper.shared()
                .readTree(analyze(one, one, "--format", "json", "--bootstrap", 50, "--top", 3))
                .get("agreement")
                .get(0);
        for (Measure measure : Measure.values()) {
            if (measure != Measure.PERIOD) { // may be the same for all heads: no ranks to compare
                assertThat(same.get("spearman").get(measure.id()).get("value").asDouble())
                        .as(measure.id())
                        .isCloseTo(1, within(1e-12));
            }
            assertThat(same.get("jaccard").get(measure.id()).get("value").asDouble())
                    .isEqualTo(1);
        }
        for (RoleRule rule : RoleRule.values()) {
            assertThat(same.get("adjusted_rand").get(rule.id()).get("value").asDouble())
                    .isEqualTo(1);
        }
        JsonNode other = JsonMapper.shared()
                .readTree(analyze(one, two, "--format", "json", "--bootstrap", 50))
                .get("agreement")
                .get(0);
        JsonNode rho = other.get("spearman").get("sink_score");
        assertThat(rho.get("value").asDouble()).isBetween(-0.9, 0.9);
        assertThat(rho.get("low").asDouble()).isLessThan(rho.get("high").asDouble());
        assertThat(rho.get("heads").asInt()).isEqualTo(12);
    }

    @Test
    void compare_takesPassesOfOneRun() {
        assertThat(analyze(one, "--compare", "passes", "--bootstrap", 10))
                .contains("agreement of one step0 and one step1", "agreement of one step0 and one ctx");
    }

    @Test
    void tokens_areCountedOverTheCache() {
        JsonNode tokens = JsonMapper.shared()
                .readTree(analyze(one, "--tokens", "--format", "json", "--keep-tokens", 5))
                .get("runs")
                .get(0)
                .get("tokens");
        assertThat(tokens.get("counts")).hasSize(10 * 6);
        int sum = 0;
        for (JsonNode count : tokens.get("counts")) {
            sum += count.asInt();
        }
        assertThat(sum).isEqualTo(5 * 12);
        assertThat(analyze(one, "--tokens")).contains("tokens kept in block3.step0 by 12 heads, 12 each");
    }

    @Test
    void exports_areWhatForcingKvAndPyramidForcingRead() throws Exception {
        Path map = dir.resolve("map.json");
        Path csv = dir.resolve("roles.csv");
        Path files = dir.resolve("heads");
        analyze(one, "--roles", "forcing-kv", "--roles-csv", csv, "--head-map", map, "--head-files", files);
        JsonNode root = JsonMapper.shared().readTree(Files.readString(map));
        assertThat(root.get("format").asString()).isEqualTo("forcingkv_offline");
        assertThat(root.get("num_layers").asInt()).isEqualTo(3);
        List<String> rows = Files.readAllLines(csv);
        assertThat(rows).hasSize(3);
        for (int layer = 0; layer < 3; layer++) {
            String[] roles = rows.get(layer).split(",", -1);
            assertThat(roles).hasSize(4);
            JsonNode entry = root.get("layers").get(layer);
            assertThat(entry.get("static_head").size()
                            + entry.get("dynamic_head").size())
                    .isEqualTo(4);
            for (JsonNode head : entry.get("static_head")) {
                assertThat(roles[head.asInt()]).isEqualTo("static");
            }
        }
        try (TensorStore file = TensorStore.open(files.resolve("layer2_head3.pt"))) {
            TensorView attn = file.tensor("attn");
            assertThat(attn.shape()).isEqualTo(Shape.of(3, 10));
            assertThat(attn.dtype()).isEqualTo(DType.F32);
            double sum = 0;
            for (float value : attn.toFloats()) {
                sum += value;
            }
            assertThat(sum).isCloseTo(3, within(1e-5));
        }
        assertThat(files.toFile().list()).hasSize(12);
    }

    @Test
    void help_definesEveryMeasureAndRule() {
        String help = new CommandLine(new AnalyzeCommand()).getUsageMessage().replaceAll("\\s+", " ");
        for (Measure measure : Measure.values()) {
            assertThat(help).contains(measure.definition(), measure.formula(), measure.source());
        }
        for (RoleRule rule : RoleRule.values()) {
            assertThat(help).contains(rule.definition(), rule.source());
        }
    }

    @Test
    void badUsage_isTold() {
        for (Object[] args : new Object[][] {
            {one, "--measure", "x"},
            {one, "--roles", "x"},
            {one, "--pass", "9"},
            {one, "--frame-block", "9"},
            {one, "--compare", "runs"},
            {one, "--roles-csv", dir.resolve("x")},
            {one, two, "--head-map", dir.resolve("x")},
            {one, "--static-mass", "2"},
            {one, "--sink-frames", "0"},
            {one, "--sample", "-1"},
            {one, "--sample", "4"},
            {one, "--tokens", "--keep-tokens", "-3"}
        }) {
            assertThatThrownBy(() -> analyze(args)).as(List.of(args).toString()).isInstanceOf(UsageException.class);
        }
    }
}
