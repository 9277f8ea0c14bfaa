package wan.app.command;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import capture.analysis.Analysis;
import capture.analysis.CapturedPass;
import capture.analysis.Measure;
import capture.analysis.MeasureOptions;
import capture.analysis.PassSlot;
import capture.analysis.RoleOptions;
import capture.analysis.RoleRule;
import capture.analysis.SavedResult;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.app.CommandLineRun;
import wan.app.terminal.MetricsServer;
import wan.op.Quantity;
import wan.run.SpecJson;
import wan.sweep.SweepFolder;
import wan.sweep.SweepRun;

/** Sweeps through the command line, and what other commands make of their folders. */
class SweepCommandTest {
    private static final String SWEEP = """
            base:
              video: {latent_height: 4, latent_width: 4, num_frames: 5}
              sampler: {steps: [1000, 500], num_frame_per_block: 2}
              capture: {layers: all, passes: all, quantities: [frame-logits, frame-mass]}
            axes:
              - edits:
                  none: []
                  cut: [{do: zero, heads: "3:5"}]
              - seeds: 0-1
            """;

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    private Path file = Path.of("");
    private Path out = Path.of("");

    @BeforeEach
    void write() throws IOException {
        file = Files.writeString(folder.resolve("sweep.yaml"), SWEEP);
        out = folder.resolve("heads");
    }

    private CommandLineRun sweep(Object... more) {
        List<Object> words = new ArrayList<>(List.of("sweep", file, "--out", out));
        words.addAll(Arrays.asList(more));
        return CommandLineRun.of(words.toArray());
    }

    @Test
    void dryRun_tellsRunsOperationsBytesAndTime() {
        CommandLineRun run = sweep("--dry-run", "-q", "--shard", "0/2");
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out())
                .containsPattern("runs +4\n")
                .containsPattern("seed +2: 0 to 1\n")
                .containsPattern("operations +\\d+\\.\\d+ TFLOP in \\d+ passes\n")
                .containsPattern("captured +[\\d.]+ KiB|captured +[\\d.]+ KB|captured +\\d")
                .contains("measured in passes of the first run", "on 2 such machines");
        assertThat(out).doesNotExist();
    }

    @Test
    void sweep_logsEveryEvent_andItsResultsAreWhatExtractGives() throws IOException {
        Path log = folder.resolve("events.jsonl");
        CommandLineRun run = sweep("--log", log);
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out()).startsWith("4 of 4 runs done, 0 failed, 0 left, in " + out + "\n");
        assertThat(run.err()).contains("4 runs, 0 done", "edits none, seed 1", "4 done, 0 failed, 0 left");
        List<String> events = new ArrayList<>();
        for (String line : Files.readAllLines(log)) {
            JsonNode event = JsonMapper.shared().readTree(line);
            assertThat(event.get("time").asString()).matches("20\\d\\d-.*Z");
            events.add(event.get("event").asString());
        }
        assertThat(events).startsWith("began").endsWith("run_done", "ended");
        assertThat(events.stream().filter("run_began"::equals)).hasSize(4);

        SweepRun second = SweepFolder.open(out).runs().get(1);
        Path spec = Files.writeString(folder.resolve("spec.json"), SpecJson.write(second.spec()));
        Path alone = folder.resolve("alone.safetensors");
        assertThat(CommandLineRun.of("extract", "--spec", spec, "-o", alone, "-q")
                        .exitCode())
                .isZero();
        assertThat(alone).hasSameBinaryContentAs(SweepFolder.open(out).result(second.id()));

        CommandLineRun again = sweep();
        assertThat(again.err()).contains("4 done, 0 failed, 0 left, 0 of them").doesNotContain("seed 1");

        CommandLineRun summary = CommandLineRun.of("analyze", out);
        assertThat(summary.exitCode()).as(summary.err()).isZero();
        assertThat(summary.out()).contains("4 runs of 1 prompts, 72 heads", "sink_score", "stable");
        assertThat(CommandLineRun.of("analyze", out, "--format", "json", "--compare", "none")
                        .out())
                .contains(second.id());
        for (String kind : List.of("measure", "heads")) {
            Path figure = folder.resolve(kind + ".svg");
            assertThat(CommandLineRun.of("plot", out, "--kind", kind, "--over", "sd", "-o", figure)
                            .err())
                    .isEmpty();
            assertThat(figure).content().contains("<svg");
        }
        Path page = folder.resolve("sweep.html");
        assertThat(CommandLineRun.of("report", out, "-o", page).err()).isEmpty();
        assertThat(page).content().contains("4 of 4 runs of the sweep heads", second.id(), "data:image/svg", "stable");
    }

    @Test
    void tables_haveWhatTheResultsHave() throws IOException {
        CommandLineRun run = sweep("--frames", "-q");
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out()).contains("runs.parquet", "heads.parquet", "frames.parquet");
        SweepRun second = SweepFolder.open(out).runs().get(1);
        assertThat(query("SELECT count(*), count(DISTINCT seed), count(DISTINCT axis_edits), min(state) FROM runs"))
                .isEqualTo("4,2,2,done");
        assertThat(query("SELECT \"index\" FROM runs WHERE run = '" + second.id() + "'"))
                .isEqualTo("1");
        int frames = 0;
        double sum = 0;
        try (SavedResult result = SavedResult.open(SweepFolder.open(out).result(second.id()))) {
            for (CapturedPass pass : result.passes(Quantity.FRAME_LOGITS)) {
                for (int layer : result.info().layers()) {
                    for (float value : result.values(Quantity.FRAME_LOGITS, pass, layer)) {
                        frames++;
                        sum += value;
                    }
                }
            }
            Analysis analysis =
                    Analysis.of(result, PassSlot.parse("step1"), result.frameBlock("last"), MeasureOptions.DEFAULT);
            assertThat(Double.parseDouble(query("SELECT sink_score FROM heads WHERE run = '" + second.id()
                            + "' AND pass = 'step1' AND layer = 3 AND head = 5")))
                    .isEqualTo(analysis.measure(Measure.SINK_SCORE)[3 * 12 + 5]);
            assertThat(query("SELECT role_forcing_kv FROM heads WHERE run = '" + second.id()
                            + "' AND pass = 'step1' AND layer = 0 AND head = 1"))
                    .isEqualTo(RoleRule.FORCING_KV
                            .of(analysis, RoleOptions.DEFAULT)
                            .roles()
                            .get(1));
        }
        String[] counted = query(
                        "SELECT count(logit), sum(CAST(logit AS DOUBLE)) FROM frames WHERE run = '" + second.id() + "'")
                .split(",", 2);
        assertThat(Integer.parseInt(counted[0])).isEqualTo(frames);
        assertThat(Double.parseDouble(counted[1])).isCloseTo(sum, within(1e-9 * frames));
        assertThat(query("SELECT count(*) FROM heads")).isEqualTo(String.valueOf(4 * 3 * 72));

        assertThat(CommandLineRun.of("query", out).out()).containsPattern("state +runs +seconds\ndone +4 +\\d");
        assertThat(CommandLineRun.of("query", out, "SELECT 1.5 AS x, 'a\"b' AS y", "--format", "json")
                        .out())
                .isEqualTo("{\"x\":1.5,\"y\":\"a\\\"b\"}\n");
        CommandLineRun wrong = CommandLineRun.of("query", out, "SELEKT");
        assertThat(wrong.exitCode()).isEqualTo(1);
        assertThat(wrong.err()).startsWith("wan-attn: DuckDB: ").hasLineCount(1);
    }

    private String query(String sql) {
        CommandLineRun run = CommandLineRun.of("query", out, sql, "--format", "csv");
        assertThat(run.exitCode()).as(run.err()).isZero();
        return run.out().lines().skip(1).reduce((a, b) -> a + ";" + b).orElse("");
    }

    @Test
    void failure_isTold_andMakesTheExitCode() throws IOException {
        Files.writeString(file, SWEEP + "  - {field: prompt.embeddings, values: [no-such-file.safetensors]}\n");
        CommandLineRun run = sweep("--retries", "0");
        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.err()).contains("no-such-file.safetensors", "4 runs failed", "--retries 1 tries them again");
        assertThat(run.out()).startsWith("0 of 4 runs done, 4 failed, 0 left").contains("heads.parquet");
        assertThat(run.err()).doesNotContain("DuckDB");
        assertThat(query("SELECT count(*) FROM heads")).isEqualTo("0");
        assertThat(sweep("--retries", "-1").exitCode()).isEqualTo(2);
        assertThat(sweep("--shard", "2/2").err()).contains("shard: expected i/n");
    }

    /** Whether each line is one that Prometheus takes, and each sample has a type and a help before it, once. */
    private static void assertPrometheus(String text) {
        assertThat(text).endsWith("\n");
        Set<String> helped = new HashSet<>();
        Map<String, String> types = new HashMap<>();
        Set<String> samples = new HashSet<>();
        for (String line : text.split("\n", -1)) {
            Matcher help = Pattern.compile("# HELP ([a-z_]+) \\S.*").matcher(line);
            Matcher type =
                    Pattern.compile("# TYPE ([a-z_]+) (counter|gauge|summary)").matcher(line);
            Matcher sample = Pattern.compile("([a-z_]+)(\\{[a-z_]+=\"[a-z]+\"\\})? (NaN|[\\d.]+(E\\d+)?)")
                    .matcher(line);
            if (help.matches()) {
                assertThat(helped.add(help.group(1))).as(line).isTrue();
            } else if (type.matches()) {
                assertThat(helped).contains(type.group(1));
                assertThat(types.put(type.group(1), type.group(2))).as(line).isNull();
                assertThat(type.group(1).endsWith("_total"))
                        .as(line)
                        .isEqualTo(type.group(2).equals("counter"));
            } else if (!line.isEmpty()) {
                assertThat(sample.matches()).as(line).isTrue();
                assertThat(samples.add(sample.group(1) + sample.group(2)))
                        .as(line)
                        .isTrue();
                String family = sample.group(1);
                assertThat(types.containsKey(family)
                                || "summary".equals(types.get(family.replaceFirst("_(sum|count)$", ""))))
                        .as(line)
                        .isTrue();
            }
        }
        assertThat(samples).hasSizeGreaterThan(8);
    }

    private static double sample(String metrics, String name) {
        return metrics.lines()
                .filter(line -> line.startsWith(name + " "))
                .mapToDouble(line -> Double.parseDouble(line.substring(name.length() + 1)))
                .findFirst()
                .orElseThrow();
    }

    @Test
    void metrics_canBeScrapedWhileItRuns() throws Exception {
        int port;
        try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = free.getLocalPort();
        }
        CompletableFuture<CommandLineRun> ending =
                CompletableFuture.supplyAsync(() -> sweep("--metrics-port", port, "--no-dataset", "-q"));
        List<String> scraped = new ArrayList<>();
        try (HttpClient client = HttpClient.newHttpClient()) {
            HttpRequest request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/metrics"))
                    .build();
            while (!ending.isDone()) {
                try {
                    scraped.add(client.send(request, HttpResponse.BodyHandlers.ofString())
                            .body());
                } catch (IOException e) {
                    Thread.sleep(1); // not there yet, or no more
                }
            }
        }
        assertThat(ending.join().exitCode()).as(ending.join().err()).isZero();
        scraped.forEach(SweepCommandTest::assertPrometheus);
        List<Double> passes = scraped.stream()
                .map(text -> sample(text, "wan_attn_sweep_passes_total"))
                .toList();
        assertThat(passes).isSorted();
        assertThat(scraped)
                .anyMatch(text -> sample(text, "wan_attn_sweep_runs{state=\"left\"}") > 0
                        && sample(text, "wan_attn_sweep_passes_total") > 0
                        && sample(text, "wan_attn_sweep_flop_total") > 0);
    }

    @Test
    void metrics_arePrometheusText_onThisMachineAlone() throws Exception {
        CommandLineRun run = sweep("--metrics-port", "0");
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.err()).containsPattern("metrics at http://127\\.0\\.0\\.1:\\d+/metrics");
        try (MetricsServer server = new MetricsServer("127.0.0.1", 0, () -> "wan_attn_sweep_runs 3\n");
                HttpClient client = HttpClient.newHttpClient()) {
            HttpResponse<String> response = client.send(
                    HttpRequest.newBuilder(URI.create(server.address())).build(), HttpResponse.BodyHandlers.ofString());
            assertThat(response.body()).isEqualTo("wan_attn_sweep_runs 3\n");
            assertThat(response.headers().firstValue("Content-Type").orElse(""))
                    .startsWith("text/plain; version=0.0.4");
        }
    }
}
