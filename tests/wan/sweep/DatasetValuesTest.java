package wan.sweep;

import static org.assertj.core.api.Assertions.assertThat;

import capture.analysis.Analysis;
import capture.analysis.CapturedPass;
import capture.analysis.HeadView;
import capture.analysis.Measure;
import capture.analysis.MeasureOptions;
import capture.analysis.PassSlot;
import capture.analysis.RoleOptions;
import capture.analysis.RoleRule;
import capture.analysis.SavedResult;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.op.Quantity;
import wan.run.SpecJson;

/**
 * Every value of a sweep's tables, read back with DuckDB, is the one of the result files.
 *
 * <p>{@code main} does the same for a folder, such as that of 200 runs.
 */
class DatasetValuesTest {
    private static final String SWEEP = """
            base:
              video: {latent_height: 4, latent_width: 4, num_frames: 5}
              sampler: {steps: [1000, 500], num_frame_per_block: 2}
              capture: {layers: [0, 3, 5], passes: all, quantities: [frame-logits, frame-mass]}
              device: {threads: 1}
            axes:
              - points: [{label: "a \\"sink\\", kept", policy: streaming-llm}, {label: "two\\nlines"}]
              - seeds: [0, 18446744073709551615]
              - edits: {none: [], cut: [{do: zero, heads: "3:5"}]}
            """;

    /** How many values were compared. */
    private record Compared(long heads, long frames) {}

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    /** Compares the tables of a sweep's folder; prints how many values there are. */
    public static void main(String[] args) throws SQLException {
        System.out.println(compare(SweepFolder.open(Path.of(args[0]))));
    }

    @Test
    void everyValue_isThatOfTheResults() throws IOException, SQLException {
        Sweep sweep = SweepJson.read(Files.writeString(folder.resolve("sweep.yaml"), SWEEP));
        SweepFolder root = SweepFolder.begin(folder.resolve("sweep"), sweep);
        SweepRunner.Options options = new SweepRunner.Options(Shard.WHOLE, 0, null);
        assertThat(new SweepRunner(root, options, SweepListener.NONE)
                        .execute()
                        .counts()
                        .done())
                .isEqualTo(8);
        assertThat(Dataset.write(root, true)).hasSize(3);
        Compared compared = compare(root);
        assertThat(compared.heads()).isGreaterThan(8 * 36 * 3 * 5);
        assertThat(compared.frames()).isGreaterThan(10_000);
    }

    private static Compared compare(SweepFolder folder) throws SQLException {
        long heads = 0;
        long frames = 0;
        try (Connection database = DriverManager.getConnection("jdbc:duckdb:");
                Statement statement = database.createStatement()) {
            try (ResultSet rows = table(statement, folder, "runs")) {
                for (SweepRun run : folder.runs()) {
                    assertThat(rows.next()).isTrue();
                    compareRun(rows, run);
                }
                assertThat(rows.next()).isFalse();
            }
            try (ResultSet rows = table(statement, folder, "heads")) {
                for (Path file : folder.results()) {
                    heads += compareHeads(rows, file);
                }
                assertThat(rows.next()).isFalse();
            }
            try (ResultSet rows = table(statement, folder, "frames")) {
                for (Path file : folder.results()) {
                    frames += compareFrames(rows, file);
                }
                assertThat(rows.next()).isFalse();
            }
        }
        return new Compared(heads, frames);
    }

    private static ResultSet table(Statement statement, SweepFolder folder, String name) throws SQLException {
        return statement.executeQuery("SELECT * FROM '" + folder.dataset().resolve(name + ".parquet") + "'");
    }

    private static void compareRun(ResultSet rows, SweepRun run) throws SQLException {
        assertThat(rows.getString("run")).isEqualTo(run.id());
        assertThat(rows.getInt("index")).isEqualTo(run.index());
        assertThat(rows.getString("state")).isEqualTo("done");
        assertThat(rows.getDouble("seconds")).isPositive();
        for (var label : run.point().entrySet()) {
            assertThat(rows.getString("axis_" + label.getKey())).isEqualTo(label.getValue());
        }
        assertThat(rows.getLong("seed")).isEqualTo(run.spec().noise().seed());
        assertThat(rows.getString("spec")).isEqualTo(SpecJson.tree(run.spec()).toString());
        String prompt = String.join("\n", run.spec().prompt().texts());
        assertThat(Objects.toString(rows.getString("prompt"), "")).isEqualTo(prompt);
    }

    private static void same(String what, ResultSet rows, String column, double expected) throws SQLException {
        double got = rows.getDouble(column);
        boolean none = rows.wasNull();
        if (none ? !Double.isNaN(expected) : got != expected) {
            throw new AssertionError(
                    what + " " + column + ": expected " + expected + ", got " + (none ? "null" : got + ""));
        }
    }

    private static void place(ResultSet rows, String run, String pass, int layer, int head) throws SQLException {
        boolean there = rows.next();
        if (!there
                || !rows.getString("run").equals(run)
                || !rows.getString("pass").equals(pass)
                || rows.getInt("layer") != layer
                || rows.getInt("head") != head) {
            throw new AssertionError("expected the row of " + run + " " + pass + " " + layer + ":" + head);
        }
    }

    private static long compareHeads(ResultSet rows, Path file) throws SQLException {
        long values = 0;
        try (SavedResult result = SavedResult.open(file)) {
            for (PassSlot slot : result.slots(Quantity.FRAME_LOGITS)) {
                Analysis analysis = Analysis.of(result, slot, result.frameBlock("last"), MeasureOptions.DEFAULT);
                for (int h = 0; h < analysis.heads().size(); h++) {
                    HeadView view = analysis.heads().get(h);
                    String what = result.name() + " " + slot + " " + view.head();
                    place(
                            rows,
                            result.name(),
                            slot.toString(),
                            view.head().layer(),
                            view.head().head());
                    for (Measure measure : Measure.values()) {
                        same(what, rows, measure.id(), measure.of(view, MeasureOptions.DEFAULT));
                        values++;
                    }
                }
                for (RoleRule rule : RoleRule.values()) {
                    assertThat(rule.of(analysis, RoleOptions.DEFAULT).roles().getLast())
                            .isEqualTo(rows.getString("role_" + rule.id().replace('-', '_')));
                }
            }
        }
        return values;
    }

    private static long compareFrames(ResultSet rows, Path file) throws SQLException {
        long values = 0;
        try (SavedResult result = SavedResult.open(file)) {
            for (CapturedPass pass : result.info().passes()) {
                for (int layer : result.info().layers()) {
                    float[] logits = result.values(Quantity.FRAME_LOGITS, pass, layer);
                    float[] masses = result.values(Quantity.FRAME_MASS, pass, layer);
                    for (int i = 0; i < logits.length; i++) {
                        int keys = pass.keyFrames().size();
                        int head = result.info().heads().get(i / keys / pass.frames());
                        place(rows, result.name(), pass.id().label(), layer, head);
                        assertThat(rows.getInt("query_frame")).isEqualTo(pass.firstFrame() + i / keys % pass.frames());
                        assertThat(rows.getInt("key_frame"))
                                .isEqualTo(pass.keyFrames().get(i % keys));
                        same(result.name(), rows, "logit", logits[i]);
                        same(result.name(), rows, "mass", masses[i]);
                        values += 2;
                    }
                }
            }
        }
        return values;
    }
}
