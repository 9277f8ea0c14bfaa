package wan.sweep;

import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.file.StrictJson;

/**
 * How a run went, as it stands beside its result. Whether a run is done its result says, not this.
 *
 * @param attempts how often it was begun and ended by itself
 * @param seconds that the last attempt took
 * @param worker who made it
 * @param error of the last attempt; null if it went well
 * @param time when it ended, ISO 8601
 */
public record RunRecord(
        int attempts,
        double seconds,
        String worker,
        @Nullable String error,
        String time) {
    /** As the file beside a result has it. */
    public byte[] json(String id) {
        ObjectNode json = JsonMapper.shared().createObjectNode();
        json.put("run", id)
                .put("state", error == null ? "done" : "failed")
                .put("attempts", attempts)
                .put("seconds", seconds)
                .put("worker", worker)
                .put("time", time)
                .put("error", error);
        return (json + "\n").getBytes(StandardCharsets.UTF_8);
    }

    /** Reads what {@link #json} made. */
    public static RunRecord parse(Object file, byte[] bytes) {
        JsonNode json = StrictJson.tree(file, bytes);
        JsonNode error = json.path("error");
        return new RunRecord(
                json.path("attempts").asInt(1),
                json.path("seconds").asDouble(Double.NaN),
                json.path("worker").asString(""),
                error.isString() ? error.asString() : null,
                json.path("time").asString(""));
    }
}
