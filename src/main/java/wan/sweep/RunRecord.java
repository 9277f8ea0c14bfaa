package wan.sweep;

import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.file.StrictJson;

/**
 * How a run went; the file lies beside the result. It does not say whether a run is done: that depends only on whether the result exists.
 *
 * @param attempts the number of attempts that ended by success or by an error, not by a kill
 * @param seconds the duration of the last attempt
 * @param worker the name of the process
 * @param error the error of the last attempt; null if it succeeded
 * @param time when the last attempt ended, in ISO 8601
 */
public record RunRecord(
        int attempts,
        double seconds,
        String worker,
        @Nullable String error,
        String time) {
    /** The content of the file beside a result. */
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

    /** Parses the output of {@link #json}. */
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
