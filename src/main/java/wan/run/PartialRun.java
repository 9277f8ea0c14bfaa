package wan.run;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.file.PartialFolder;
import wan.file.PartialTensors;
import wan.op.FormatException;

/**
 * The journal of an unfinished run: the run itself, and the checkpoints from which it can be resumed. The format is described
 * in docs/PARTIAL-FORMAT.md.
 *
 * @param run what is run: the metadata of its result, and the room for headers in its files
 * @param inputs checksums of what it is given; null until they are known
 * @param commits the checkpoints, in order
 * @param tail captures of passes behind the last of them, or null
 * @param finished whether all that is left to do is to move the files into their places
 * @param records how many records count, the tail's and what follows it left out
 */
record PartialRun(
        ObjectNode run,
        @Nullable ObjectNode inputs,
        List<Commit> commits,
        @Nullable ObjectNode tail,
        boolean finished,
        int records) {
    static final String CAPTURES = "captures";
    static final String PASSES = "passes";
    static final String STATE = "state";

    /** Room for a header, at most; a longer one is written behind a copy of the data. */
    static final long MOST_HEADER_BYTES = 1L << 26;

    private static final String FORMAT = "wan-attn partial run";
    private static final int VERSION = 2;

    /**
     * A checkpoint.
     *
     * @param passes how many of the plan's passes are done
     * @param record as it stands in the journal
     * @param end how many records there are up to this one
     */
    record Commit(int passes, ObjectNode record, int end) {
        /** What was added to a file. */
        ObjectNode stage(String file) {
            return record.path("files").path(file) instanceof ObjectNode stage
                    ? stage
                    : JsonMapper.shared().createObjectNode();
        }
    }

    /** The names of all files that a run of a target makes in its folder, results that are about to be moved included. */
    static Pattern files(Path target) {
        return Pattern.compile(String.join("|", CAPTURES, PASSES, STATE) + "|result\\.npz|layer\\d+\\.pt|"
                + Pattern.quote(String.valueOf(target.getFileName())));
    }

    /** The first record of a journal. */
    static ObjectNode header(ObjectNode fields, ObjectNode room) {
        ObjectNode header = JsonMapper.shared().createObjectNode();
        header.put("format", FORMAT);
        header.put("format_version", VERSION);
        header.set("fields", fields);
        header.set("header_bytes", room);
        return header;
    }

    /**
     * Makes sense of a journal.
     *
     * @param folder for messages
     * @return null if nothing was recorded
     * @throws FormatException if it is the journal of something else, or of another version of the format
     */
    static @Nullable PartialRun of(Path folder, List<ObjectNode> records) {
        if (records.isEmpty()) {
            return null;
        }
        ObjectNode run = records.getFirst();
        if (!run.path("format").asString("").equals(FORMAT)
                || !run.path("fields").isObject()
                || !run.path("header_bytes").isObject()) {
            throw new FormatException(folder, "expected the partial data of a run, got a journal of something else");
        }
        if (run.path("format_version").asInt(0) != VERSION) {
            throw new FormatException(
                    folder,
                    "expected version " + VERSION + " of the format, got "
                            + run.path("format_version").asString("none"));
        }
        ObjectNode inputs = null;
        List<Commit> commits = new ArrayList<>();
        ObjectNode tail = null;
        boolean finished = false;
        int used = 1;
        for (ObjectNode record : records.subList(1, records.size())) {
            if (record.path("tail") instanceof ObjectNode stage) {
                tail = stage;
                break;
            }
            int passes = record.path("passes").asInt(0);
            if (record.path("inputs") instanceof ObjectNode given) {
                inputs = given;
            } else if (passes > (commits.isEmpty() ? 0 : commits.getLast().passes())) {
                commits.add(new Commit(passes, record, used + 1));
            } else if (record.path("finished").asBoolean(false)) {
                finished = true;
            } else {
                break;
            }
            used++;
        }
        return new PartialRun(run, inputs, List.copyOf(commits), tail, finished, used);
    }

    /** The metadata of the result. */
    JsonNode fields() {
        return run.path("fields");
    }

    /** How many passes of the plan are kept. */
    int passes() {
        return commits.isEmpty() ? 0 : commits.getLast().passes();
    }

    /** Room for the header of one of the files. */
    long headerBytes(String file) {
        return Math.clamp(run.path("header_bytes").path(file).asLong(0), 0, MOST_HEADER_BYTES);
    }

    /** What was added to a file, commit after commit. */
    List<ObjectNode> stages(String file) {
        return commits.stream().map(commit -> commit.stage(file)).toList();
    }

    /** Its files: not every run has all of them. */
    List<String> files() {
        return Stream.of(CAPTURES, PASSES, STATE)
                .filter(file -> run.path("header_bytes").has(file))
                .toList();
    }

    /** All whole captures, those behind the last commit included, to read them. */
    PartialTensors captures(Path folder) {
        List<ObjectNode> stages = new ArrayList<>(stages(CAPTURES));
        if (tail != null && tail.path("captures") instanceof ObjectNode last) {
            stages.add(last);
        }
        Path file = folder.resolve(CAPTURES);
        int whole = PartialTensors.check(file, headerBytes(CAPTURES), stages);
        return PartialTensors.read(file, headerBytes(CAPTURES), stages.subList(0, whole));
    }

    /** The same without the commits whose data is not whole. */
    PartialRun verified(Path folder) {
        int whole = commits.size();
        for (String file : files()) {
            whole = Math.min(whole, PartialTensors.check(folder.resolve(file), headerBytes(file), stages(file)));
        }
        if (whole == commits.size()) {
            return this;
        }
        int end = whole == 0 ? 0 : commits.get(whole - 1).end();
        return new PartialRun(run, inputs, commits.subList(0, whole), null, false, end);
    }

    /**
     * Reads a folder without disturbing the run that may be writing it.
     *
     * @throws FormatException if it is the folder of something else
     */
    static PartialRun read(Path folder) {
        PartialRun run = of(folder, PartialFolder.records(folder));
        if (run == null) {
            throw new FormatException(folder, "expected the partial data of a run, got an empty journal");
        }
        return run;
    }
}
