package wan.spark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.app.Main;

/** Sweeps on {@code local[2]}, through the command line: what is there in the end is what {@code wan-attn sweep} gives. */
class SparkSweepTest {
    private static final String BASE = """
            base:
              video: {latent_height: 4, latent_width: 4, num_frames: 4}
              sampler: {steps: [1000, 500], num_frame_per_block: 2, independent_first_frame: false}
              capture: {layers: [0, 3], passes: all, quantities: [frame-logits, frame-mass]}
              output: {complete: true, latents: kept.safetensors}
              device: {threads: 1}
            axes:
            """;

    @TempDir
    Path folder;

    private Path file;
    private Path out;

    /** How a program ended and what it said. */
    private record Ended(int code, String out, String err) {}

    @BeforeEach
    void name() {
        System.setProperty("spark.master", "local[2]");
        System.setProperty("spark.ui.enabled", "false");
        file = folder.resolve("sweep.yaml");
        out = folder.resolve("spark");
    }

    @AfterEach
    void forget() {
        System.clearProperty("spark.master");
        System.clearProperty("spark.ui.enabled");
    }

    private static synchronized Ended run(boolean spark, Object... words) {
        String[] args = Stream.of(words).map(Object::toString).toArray(String[]::new);
        PrintStream stdout = System.out;
        PrintStream stderr = System.err;
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        ByteArrayOutputStream told = new ByteArrayOutputStream();
        try {
            System.setOut(new PrintStream(said, true, StandardCharsets.UTF_8));
            System.setErr(new PrintStream(told, true, StandardCharsets.UTF_8));
            int code = spark ? Main.runAlone(new SparkSweepCommand(), args) : Main.run(args);
            return new Ended(code, said.toString(StandardCharsets.UTF_8), told.toString(StandardCharsets.UTF_8));
        } finally {
            System.setOut(stdout);
            System.setErr(stderr);
        }
    }

    private Ended spark(Object... more) {
        List<Object> words = new ArrayList<>(List.of(file, "--out", out.toUri()));
        words.addAll(List.of(more));
        return run(true, words.toArray());
    }

    private static Map<String, byte[]> results(Path root) throws IOException {
        Map<String, byte[]> results = new TreeMap<>();
        try (Stream<Path> files = Files.list(root.resolve("runs"))) {
            for (Path each : files.filter(name -> name.toString().endsWith(".safetensors"))
                    .toList()) {
                results.put(each.getFileName().toString(), Files.readAllBytes(each));
            }
        }
        return results;
    }

    private static void assertSame(Path got, Path expected) throws IOException {
        Map<String, byte[]> files = results(expected);
        assertThat(results(got).keySet()).isEqualTo(files.keySet());
        results(got).forEach((name, bytes) -> assertThat(bytes).as(name).isEqualTo(files.get(name)));
    }

    private static String sql(String query) throws SQLException {
        try (Connection database = DriverManager.getConnection("jdbc:duckdb:");
                Statement statement = database.createStatement();
                ResultSet rows = statement.executeQuery(query)) {
            List<String> lines = new ArrayList<>();
            while (rows.next()) {
                lines.add(rows.getString(1));
            }
            return String.join(";", lines);
        }
    }

    @Test
    void resultsAndTables_areThoseOfASweep_andAreNotMadeAgain() throws IOException, SQLException {
        Files.writeString(file, BASE + "  - seeds: 0-2\n  - edits: {none: [], cut: [{do: zero, heads: \"3:5\"}]}\n");
        Path alone = folder.resolve("alone");
        assertThat(run(false, "sweep", file, "--out", alone, "--frames", "-q").code())
                .isZero();
        Ended first = spark("--frames", "--at-once", "2");
        assertThat(first.code()).as(first.err()).isZero();
        assertThat(first.out()).contains("6 of 6 runs done, 0 failed, 0 left, in file:" + out);
        assertThat(first.err()).contains("6 runs, 0 done", "seed 2, edits cut");
        assertThat(results(out)).hasSize(12); // with the latents
        assertSame(out, alone);
        try (Stream<Path> all = Files.walk(out)) {
            assertThat(all.map(each -> each.getFileName().toString()))
                    .noneMatch(name -> name.endsWith(".tmp") || name.endsWith(".crc"));
        }
        for (String table : List.of("heads", "frames")) {
            assertThat(out.resolve("dataset/" + table + ".parquet"))
                    .hasSameBinaryContentAs(alone.resolve("dataset/" + table + ".parquet"));
        }
        String runs = "SELECT count(*) FROM (SELECT * EXCLUDE (seconds, worker) FROM '%s/dataset/runs.parquet' EXCEPT"
                + " SELECT * EXCLUDE (seconds, worker) FROM '%s/dataset/runs.parquet')";
        assertThat(sql(runs.formatted(out, alone))).isEqualTo("0");
        assertThat(sql("SELECT count(*) FROM '" + out + "/dataset/runs.parquet' WHERE state = 'done' AND seconds > 0"))
                .isEqualTo("6");

        // Each goes on with what the other began.
        Ended again = spark("--no-dataset");
        assertThat(again.code()).isZero();
        assertThat(again.err()).contains("6 runs, 6 done, 0 failed, 0 left").doesNotContain("seed 1");
        Ended shell = run(false, "sweep", file, "--out", out, "--no-dataset");
        assertThat(shell.err()).contains("6 runs, 6 done, 0 failed, 0 left").doesNotContain("seed 1");
        String gone = results(alone).keySet().stream()
                .filter(name -> !name.contains("latents"))
                .findFirst()
                .orElseThrow();
        Files.delete(alone.resolve("runs").resolve(gone));
        out = alone;
        assertThat(spark("--no-dataset", "-q").code()).isZero();
        assertSame(alone, folder.resolve("spark"));
    }

    @Test
    void failedRun_isRecorded_triedAgain_andStopsNoOther() throws IOException {
        Files.writeString(
                file,
                BASE + "  - points:\n    - {label: good, set: {noise.seed: 1}}\n"
                        + "    - {label: poisoned, set: {prompt.embeddings: " + folder.resolve("missing.safetensors")
                        + "}}\n    - {label: fine, set: {noise.seed: 2}}\n");
        Path log = folder.resolve("events.jsonl");
        Ended first = spark("--retries", "2", "--no-dataset", "--log", log);
        assertThat(first.code()).isEqualTo(1);
        assertThat(first.out()).contains("2 of 3 runs done, 1 failed, 0 left");
        assertThat(first.err()).contains("missing.safetensors", "1 runs failed", "--retries 3 tries them again");
        assertThat(log).content().contains("\"event\":\"run_failed\"", "\"how\":\"complete\"");
        try (Stream<Path> files = Files.list(out.resolve("runs"))) {
            Path record = files.filter(each -> each.toString().endsWith(".json"))
                    .filter(each -> contains(each, "\"state\":\"failed\""))
                    .findFirst()
                    .orElseThrow();
            assertThat(record).content().contains("\"attempts\":3", "missing.safetensors");
        }
        assertThat(spark("--retries", "2", "--no-dataset").err()).contains("3 runs, 2 done, 1 failed, 0 left");
    }

    private static boolean contains(Path file, String text) {
        try {
            return Files.readString(file).contains(text);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void modelThatNoExecutorHas_isNoFailureOfItsRuns() throws IOException {
        Files.writeString(
                file, BASE + "  - {field: model.path, values: [" + folder.resolve("no") + ", null]}\n  - seeds: 0-1\n");
        Ended ended = spark("--no-dataset");
        assertThat(ended.code()).isEqualTo(1);
        assertThat(ended.out()).contains("2 of 4 runs done, 0 failed, 2 left");
        assertThat(ended.err()
                        .lines()
                        .filter(line -> line.startsWith("wan-attn: "))
                        .toList())
                .last()
                .asString()
                .contains(folder.resolve("no").toString());
    }

    @Test
    void errors_areOneLine() throws IOException {
        Files.writeString(file, BASE + "  - seeds: 0-1\n");
        assertError(spark("--retries", "-1"), 2, "--retries: expected 0 or more, got -1");
        assertError(spark("--at-once", "0"), 2, "--at-once: expected 1 or more, got 0");
        assertError(spark("--unknown"), 2, "unknown option '--unknown'");
        assertError(run(true, folder.resolve("none.yaml"), "--out", out), 1, "none.yaml");
        assertError(run(true, file, "--out", "nosuch://x/y"), 2, "nosuch://x/y: expected the URI of a folder");
        Files.createDirectories(out);
        Files.writeString(out.resolve("thesis.tex"), "x");
        assertError(spark(), 1, "expected an empty folder or that of this sweep, got other files");
        System.setProperty("spark.master", "nonsense");
        assertError(spark(), 1, "Spark: ");
        System.clearProperty("spark.master");
        assertError(spark(), 1, "Spark: A master URL must be set");
    }

    private static void assertError(Ended ended, int code, String message) {
        assertThat(ended.code()).as(ended.err()).isEqualTo(code);
        assertThat(ended.err()
                        .lines()
                        .filter(line -> line.startsWith("wan-attn"))
                        .toList())
                .hasSize(1)
                .first()
                .asString()
                .contains(message);
    }

    @Test
    void store_keepsAResultThatIsThere_andReplacesARecord() throws IOException {
        HadoopStore store = new HadoopStore(out.toUri().toString(), new Configuration());
        assertThat(store.names("runs")).isEmpty();
        assertThat(store.read("runs/a.json")).isNull();
        Path one = Files.writeString(folder.resolve("one"), "one");
        Path two = Files.writeString(folder.resolve("two"), "two");
        store.add("runs/a.safetensors", one);
        store.add("runs/a.safetensors", two);
        assertThat(out.resolve("runs/a.safetensors")).hasContent("one");
        store.replace("runs/a.safetensors", two);
        assertThat(out.resolve("runs/a.safetensors")).hasContent("two");
        Files.writeString(out.resolve("runs/b.safetensors.01234567.tmp"), "half");
        store.removeUnfinished("runs");
        assertThat(store.names("runs")).containsExactly("a.safetensors");
    }
}
