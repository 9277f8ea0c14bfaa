package wan.run;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;
import wan.file.PartialFolder;

/**
 * The progress of an unfinished run.
 *
 * @param model of the run
 * @param version of the program that ran it
 * @param prompt in words
 * @param passes that are kept
 * @param allPasses of the run
 * @param captures tensors captured until there, by name
 * @param captureBytes of these
 * @param finished whether everything is computed, and the files only have to be moved into place
 */
public record PartialSummary(
        String model,
        String version,
        String prompt,
        int passes,
        int allPasses,
        List<String> captures,
        long captureBytes,
        boolean finished) {
    /** Whether a folder holds partial data. */
    public static boolean is(Path folder) {
        return PartialFolder.is(folder);
    }

    /**
     * Reads a folder {@code NAME.partial}, even while a run is writing it.
     *
     * @throws wan.op.FormatException if it is something else
     */
    public static PartialSummary of(Path folder) {
        PartialRun run = PartialRun.read(folder);
        if (!run.finished()) {
            run = run.verified(folder);
        }
        List<String> captures = new ArrayList<>();
        long bytes = 0;
        for (ObjectNode stage : run.stages(PartialRun.CAPTURES)) {
            captures.addAll(stage.path("tensors").propertyNames());
            bytes += stage.path("bytes").asLong(0);
        }
        JsonNode fields = run.fields();
        return new PartialSummary(
                text(fields, "model"),
                text(fields, "wan_attn_version"),
                text(fields, "prompt"),
                run.passes(),
                fields.path("passes").size(),
                captures,
                bytes,
                run.finished());
    }

    private static String text(JsonNode fields, String name) {
        return fields.path(name).asString("-");
    }
}
