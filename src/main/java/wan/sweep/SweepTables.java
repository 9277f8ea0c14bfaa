package wan.sweep;

import capture.analysis.Analysis;
import capture.analysis.CapturedPass;
import capture.analysis.HeadId;
import capture.analysis.Measure;
import capture.analysis.MeasureOptions;
import capture.analysis.PassSlot;
import capture.analysis.RoleOptions;
import capture.analysis.RoleRule;
import capture.analysis.Roles;
import capture.analysis.RunInfo;
import capture.analysis.SavedResult;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.node.ObjectNode;
import wan.op.Quantity;
import wan.run.RunSpec;
import wan.run.SpecJson;

/** Makes the tables of a sweep, row by row. */
final class SweepTables {
    private SweepTables() {}

    private static Table.Column text(String name) {
        return new Table.Column(name, Table.Type.TEXT);
    }

    private static Table.Column number(String name) {
        return new Table.Column(name, Table.Type.INT);
    }

    /** One row per run, done or not. */
    static Table runs(Sweep sweep) {
        List<Table.Column> columns = new ArrayList<>(List.of(
                text("run"),
                number("index"),
                text("state"),
                new Table.Column("seconds", Table.Type.REAL),
                number("attempts"),
                text("worker"),
                text("error")));
        sweep.axes().forEach(axis -> columns.add(text("axis_" + axis.name())));
        columns.addAll(List.of(
                text("prompt"),
                new Table.Column("seed", Table.Type.LONG),
                text("model"),
                text("checkpoint"),
                text("preset"),
                text("policy"),
                text("edits"),
                number("num_frames"),
                text("device"),
                text("spec")));
        return new Table("runs", columns);
    }

    /**
     * Adds the row of a run.
     *
     * @param whole whether its result exists
     * @param how its record, or null
     */
    static void run(SweepRun run, boolean whole, @Nullable RunRecord how, Table.Rows rows) throws IOException {
        List<@Nullable Object> row = new ArrayList<>();
        row.add(run.id());
        row.add(run.index());
        row.add(whole ? "done" : how != null ? "failed" : "left");
        row.add(how == null || Double.isNaN(how.seconds()) ? null : (Double) how.seconds());
        row.add(how == null ? null : (Integer) how.attempts());
        row.add(how == null ? null : how.worker());
        row.add(how == null || whole ? null : how.error());
        row.addAll(run.point().values());
        RunSpec spec = run.spec();
        ObjectNode json = SpecJson.tree(spec);
        row.add(
                spec.prompt().texts().isEmpty()
                        ? null
                        : String.join("\n", spec.prompt().texts()));
        row.add(spec.noise().seed());
        row.add(Objects.toString(spec.model().path(), null));
        row.add(Objects.toString(spec.model().checkpoint(), null));
        row.add(spec.model().preset());
        row.add(spec.cache().policy());
        row.add(spec.edits().isNone() ? null : json.path("edits").toString());
        row.add(spec.video().numFrames());
        row.add(spec.device().name());
        row.add(json.toString());
        rows.add(row.toArray());
    }

    /** One row per head and pass; measures use the queries of the last frame block. */
    static Table heads() {
        List<Table.Column> columns =
                new ArrayList<>(List.of(text("run"), text("pass"), number("layer"), number("head")));
        for (Measure measure : Measure.values()) {
            columns.add(new Table.Column(measure.id(), Table.Type.REAL));
        }
        for (RoleRule rule : RoleRule.values()) {
            columns.add(text("role_" + rule.id().replace('-', '_')));
        }
        return new Table("heads", columns);
    }

    static void heads(String run, SavedResult result, Table.Rows rows) throws IOException {
        Quantity quantity = result.has(Quantity.FRAME_LOGITS) ? Quantity.FRAME_LOGITS : Quantity.FRAME_MASS;
        if (!result.has(quantity)) {
            return;
        }
        for (PassSlot slot : result.slots(quantity)) {
            Analysis analysis = Analysis.of(result, slot, result.frameBlock("last"), MeasureOptions.DEFAULT);
            List<double[]> measures = new ArrayList<>();
            for (Measure measure : Measure.values()) {
                measures.add(analysis.measure(measure));
            }
            List<Roles> roles = new ArrayList<>();
            for (RoleRule rule : RoleRule.values()) {
                roles.add(rule.of(analysis, RoleOptions.DEFAULT));
            }
            for (int h = 0; h < analysis.heads().size(); h++) {
                HeadId head = analysis.heads().get(h).head();
                List<@Nullable Object> row = new ArrayList<>();
                row.add(run);
                row.add(slot.toString());
                row.add(head.layer());
                row.add(head.head());
                for (double[] values : measures) {
                    row.add(Double.isNaN(values[h]) ? null : (Double) values[h]);
                }
                for (Roles each : roles) {
                    row.add(each.roles().get(h));
                }
                rows.add(row.toArray());
            }
        }
    }

    /** One row per pair of frames that a captured pass attended. */
    static Table frames() {
        return new Table(
                "frames",
                List.of(
                        text("run"),
                        text("pass"),
                        number("layer"),
                        number("head"),
                        number("query_frame"),
                        number("key_frame"),
                        new Table.Column("logit", Table.Type.FLOAT),
                        new Table.Column("mass", Table.Type.FLOAT)));
    }

    static void frames(String run, SavedResult result, Table.Rows rows) throws IOException {
        RunInfo info = result.info();
        for (CapturedPass pass : info.passes()) {
            boolean logits = result.has(Quantity.FRAME_LOGITS, pass);
            boolean masses = result.has(Quantity.FRAME_MASS, pass);
            for (int layer : logits || masses ? info.layers() : List.<Integer>of()) {
                float[] logit = logits ? result.values(Quantity.FRAME_LOGITS, pass, layer) : null;
                float[] mass = masses ? result.values(Quantity.FRAME_MASS, pass, layer) : null;
                int at = 0;
                for (int head : info.heads()) {
                    for (int q = 0; q < pass.frames(); q++) {
                        for (int key : pass.keyFrames()) {
                            rows.add(
                                    run,
                                    pass.id().label(),
                                    layer,
                                    head,
                                    pass.firstFrame() + q,
                                    key,
                                    known(logit, at),
                                    known(mass, at));
                            at++;
                        }
                    }
                }
            }
        }
    }

    private static @Nullable Float known(float @Nullable [] values, int at) {
        return values == null || Float.isNaN(values[at]) ? null : (Float) values[at];
    }
}
