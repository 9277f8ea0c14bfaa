package wan.sweep;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.file.Messages;
import wan.file.OutputFile;
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
record RunRecord(
        int attempts,
        double seconds,
        String worker,
        @Nullable String error,
        String time) {
    void write(Path file, String id) {
        ObjectNode json = JsonMapper.shared().createObjectNode();
        json.put("run", id)
                .put("state", error == null ? "done" : "failed")
                .put("attempts", attempts)
                .put("seconds", seconds)
                .put("worker", worker)
                .put("time", time)
                .put("error", error);
        OutputFile.write(file, out -> out.write((json + "\n").getBytes(StandardCharsets.UTF_8)));
    }

    /** Null if there is none, or none that can be read: then nothing is known. */
    static @Nullable RunRecord read(Path file) {
        if (!Files.exists(file)) {
            return null;
        }
        try {
            JsonNode json = StrictJson.tree(file, Files.readAllBytes(file));
            JsonNode error = json.path("error");
            return new RunRecord(
                    json.path("attempts").asInt(1),
                    json.path("seconds").asDouble(Double.NaN),
                    json.path("worker").asString(""),
                    error.isString() ? error.asString() : null,
                    json.path("time").asString(""));
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        }
    }
}
