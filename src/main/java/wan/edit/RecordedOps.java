package wan.edit;

import capture.Indices;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import tools.jackson.databind.JsonNode;
import wan.op.AttentionKind;
import wan.op.Site;
import wan.op.WanException;

/**
 * The interventions of a recorded run, as the reference data writes them: a list of {@code op} with {@code heads} [[layer, head], ...] or
 * [[layer, head, value], ...], {@code passes}, {@code frames}, {@code sink}, {@code window}; patches have {@code what}, {@code layer} and {@code head}.
 */
public final class RecordedOps {
    private RecordedOps() {}

    /**
     * Reads the interventions.
     *
     * @param file which holds the tensors that patches take
     * @param prefix before the names of these tensors
     */
    public static EditPlan parse(JsonNode ops, Path file, String prefix) {
        List<Rule> rules = new ArrayList<>();
        for (JsonNode op : ops) {
            Passes passes = op.has("passes")
                    ? new Passes(StreamSupport.stream(op.get("passes").spliterator(), false)
                            .map(JsonNode::asString)
                            .toList())
                    : Passes.ALL;
            String name = op.path("op").asString("");
            if (name.equals("patch")) {
                String what = op.path("what").asString("");
                Site site = what.equals("out") ? Site.Z : EditJson.site("config, patch", what);
                Heads heads = Heads.of(op.path("layer").asInt(), op.path("head").asInt());
                rules.add(rule(heads, passes, new Effect.Patch(site, file, prefix)));
                continue;
            }
            for (JsonNode head : op.path("heads")) {
                Heads one = Heads.of(head.path(0).asInt(), head.path(1).asInt());
                rules.add(rule(
                        one, passes, effect(name, op, (float) head.path(2).asDouble(Double.NaN))));
            }
        }
        return new EditPlan(rules);
    }

    private static Rule rule(Heads heads, Passes passes, Effect effect) {
        return new Rule(heads, AttentionKind.SELF, passes, Indices.ALL, effect);
    }

    private static Effect effect(String name, JsonNode op, float value) {
        return switch (name) {
            case "zero" -> new Effect.Zero();
            case "mean" -> new Effect.Mean(false);
            case "mean_frame" -> new Effect.Mean(true);
            case "temperature" -> new Effect.Temperature(value);
            case "bias" -> {
                String frames = StreamSupport.stream(op.path("frames").spliterator(), false)
                        .map(JsonNode::asString)
                        .collect(Collectors.joining(","));
                yield new Effect.Bias(Indices.parse("config, frames", frames, "indices"), Indices.ALL, value);
            }
            case "keep" ->
                new Effect.Keep(op.path("sink").asInt(), op.path("window").asInt());
            default ->
                throw WanException.mismatch(
                        "config, cases", "zero, mean, mean_frame, temperature, bias, keep or patch", name, "");
        };
    }
}
