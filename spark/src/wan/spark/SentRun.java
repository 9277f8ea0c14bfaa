package wan.spark;

import java.util.LinkedHashMap;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.run.SpecJson;
import wan.sweep.SweepRun;

/** A run on its way to an executor: text, which any serializer of Spark's takes. */
final class SentRun {
    private SentRun() {}

    /**
     * As text.
     *
     * @param before how often it was tried before
     */
    static String write(SweepRun run, int before) {
        ObjectNode json = JsonMapper.shared().createObjectNode();
        json.put("index", run.index()).put("id", run.id()).put("before", before);
        json.set("spec", SpecJson.tree(run.spec()));
        return json.toString();
    }

    /** What {@link #write} made, without its place on the axes. */
    static SweepRun read(JsonNode json) {
        return new SweepRun(
                json.get("index").asInt(),
                json.get("id").asString(),
                new LinkedHashMap<>(),
                SpecJson.read(json.get("id").asString(), json.get("spec")));
    }
}
