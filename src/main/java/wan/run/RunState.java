package wan.run;

import capture.Capture;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.file.Messages;
import wan.file.PartialFolder;
import wan.file.PartialTensors;
import wan.file.StrictJson;
import wan.noise.CountedNoise;
import wan.op.DType;
import wan.op.HostTensor;
import wan.op.WanException;
import wan.sampling.Checkpoint;

/**
 * The data of an unfinished run on disk: its files so far, and the journal of its checkpoints. A run that ends early, for
 * whatever reason, leaves it; the next run can continue from it.
 */
final class RunState implements AutoCloseable {
    private static final int SHOWN_CHARS = 80;

    private final PartialFolder folder;
    private final Map<String, PartialTensors> files = new LinkedHashMap<>();
    private final @Nullable PartialRun before;
    /** Whether there is anything in it that is worth keeping. */
    private boolean kept;

    private int passes;
    private final int passesOfAll;
    private int wholeTensors;

    private boolean removed;

    private RunState(PartialFolder folder, @Nullable PartialRun before, int passesOfAll) {
        this.folder = folder;
        this.before = before;
        this.passesOfAll = passesOfAll;
        this.kept = before != null;
        this.passes = before == null ? 0 : before.passes();
    }

    /**
     * Begins, or finds what an earlier run has left.
     *
     * @param target the run's main file
     * @param fields the metadata of its result
     * @param room bytes for the header of each of its files
     * @throws WanException if what is left is of another run, or is not to be touched
     */
    static RunState open(
            Path target,
            SequencedMap<String, Object> fields,
            SequencedMap<String, Long> room,
            Leftovers leftovers,
            RunMonitor monitor) {
        PartialFolder folder = PartialFolder.open(PartialFolder.of(target), PartialRun.files(target));
        RunState state = null;
        boolean opened = false;
        try {
            ObjectNode header = PartialRun.header((ObjectNode) tree(fields), (ObjectNode) tree(room));
            PartialRun found = usable(folder, header, leftovers, monitor);
            RunState begun = new RunState(
                    folder, found, header.path("fields").path("passes").size());
            if (found == null) {
                state = begun;
                folder.keepOnly(0);
                room.forEach((name, bytes) -> begun.files.put(name, PartialTensors.create(folder.file(name), bytes)));
                folder.append(header);
            } else if (!found.finished()) {
                folder.keepOnly(found.records());
                room.forEach((name, bytes) ->
                        begun.files.put(name, PartialTensors.reopen(folder.file(name), bytes, found.stages(name))));
            }
            opened = true;
            return begun;
        } finally {
            if (!opened) {
                if (state != null) {
                    state.close(); // which removes what is not worth keeping
                } else {
                    folder.close();
                }
            }
        }
    }

    /** A value as a journal gives it back. */
    static JsonNode tree(Object value) {
        return StrictJson.tree("", JsonMapper.shared().writeValueAsBytes(value));
    }

    /** What can be gone on with, or null. */
    private static @Nullable PartialRun usable(
            PartialFolder folder, ObjectNode header, Leftovers leftovers, RunMonitor monitor) {
        PartialRun found = leftovers == Leftovers.DISCARD ? null : PartialRun.of(folder.path(), folder.records());
        if (found == null) {
            if (leftovers == Leftovers.DISCARD && !folder.records().isEmpty()) {
                monitor.notice(folder.path() + ": removed, as requested");
            }
            return null;
        }
        if (!found.finished()) {
            int recorded = found.commits().size();
            found = found.verified(folder.path());
            if (found.commits().size() < recorded) {
                monitor.notice(folder.path() + ": only " + found.commits().size() + " of " + recorded
                        + " checkpoints are intact");
            }
        }
        if (found.commits().isEmpty() && !found.finished()) {
            monitor.notice(folder.path() + ": left by a run before its first checkpoint; starting from the beginning");
            return null;
        }
        if (leftovers == Leftovers.KEEP) {
            throw new WanException(
                    folder.path() + ": holds " + progress(found) + " of an interrupted run; leftovers.resume continues"
                            + " it, leftovers.salvage writes a partial result, leftovers.discard deletes it");
        }
        requireSame(folder.path(), found.fields(), header.path("fields"));
        requireSame(folder.path(), found.run().path("header_bytes"), header.path("header_bytes"));
        return found;
    }

    /** How far a run got. */
    static String progress(PartialRun run) {
        return run.finished()
                ? "a finished result"
                : run.passes() + " of " + run.fields().path("passes").size() + " passes";
    }

    /** Names the first difference between the run that left a state and the one that wants it. */
    static void requireSame(Path folder, JsonNode there, JsonNode here) {
        if (!there.equals(here)) {
            SequencedMap<String, String[]> differences = new LinkedHashMap<>();
            differences("", there, here, differences);
            // What a run is says more than what follows from it.
            String first = List.of("wan_attn_version", "model_fingerprint").stream()
                    .filter(differences::containsKey)
                    .findFirst()
                    .orElse(differences.firstEntry().getKey());
            String[] values = differences.getOrDefault(first, new String[] {"", ""});
            throw new WanException(folder + ": is of another run, whose " + first + " is " + values[0]
                    + " where this one's is " + values[1] + "; leftovers.discard removes it");
        }
    }

    private static void differences(String path, JsonNode there, JsonNode here, SequencedMap<String, String[]> found) {
        if (there.equals(here)) {
            return;
        }
        if (there.isObject() && here.isObject()) {
            List<String> names = new ArrayList<>(here.propertyNames());
            there.propertyNames().stream().filter(name -> !names.contains(name)).forEach(names::add);
            for (String name : names) {
                differences(path.isEmpty() ? name : path + "." + name, there.path(name), here.path(name), found);
            }
        } else {
            found.put(path, new String[] {shown(there), shown(here)});
        }
    }

    private static String shown(JsonNode node) {
        String text = node.isMissingNode() ? "none" : node.isString() ? node.asString() : node.toString();
        return Messages.shown(text.length() > SHOWN_CHARS ? text.substring(0, SHOWN_CHARS) + "..." : text);
    }

    /** The folder. */
    Path path() {
        return folder.path();
    }

    /** A file in it. */
    Path file(String name) {
        return folder.file(name);
    }

    /** Whether everything was computed, and only the files are not in their places. */
    boolean finished() {
        return before != null && before.finished();
    }

    /** Whether what is there is left when the run ends now. */
    boolean worthKeeping() {
        return kept && !removed;
    }

    /** How many passes are kept. */
    String progress() {
        return passes + " of " + passesOfAll + " passes";
    }

    /** A pass is over: its captures are whole. */
    void passDone() {
        if (has(PartialRun.CAPTURES)) {
            wholeTensors = tensors(PartialRun.CAPTURES).names().size();
        }
    }

    /** One of the files that grow. */
    PartialTensors tensors(String name) {
        PartialTensors tensors = files.get(name);
        if (tensors == null) {
            throw new IllegalStateException("no file " + name);
        }
        return tensors;
    }

    /** Whether the run has such a file. */
    boolean has(String name) {
        return files.containsKey(name);
    }

    /** The checkpoint from which the run continues; null for the start. */
    @Nullable
    Checkpoint checkpoint() {
        if (before == null || before.finished()) {
            return null;
        }
        PartialTensors state = tensors(PartialRun.STATE);
        List<String> names = state.names();
        return new Checkpoint(
                before.commits().getLast().passes(), name -> names.contains(name) ? state.tensor(name) : null);
    }

    /** The groups of heads that the run had chosen by then; null where it had not. */
    @Nullable
    String headGroups() {
        if (before == null || before.commits().isEmpty()) {
            return null;
        }
        JsonNode groups = before.commits().getLast().record().path("head_groups");
        return groups.isString() ? groups.asString() : null;
    }

    /** Fills the matrices of a capture with what was captured before. */
    void restore(Job job, Capture capture) {
        if (before != null && has(PartialRun.CAPTURES)) {
            PartialTensors captures = tensors(PartialRun.CAPTURES);
            List<String> names = captures.names();
            capture.restore(job.plan().passes(), name -> names.contains(name) ? captures.tensor(name) : null);
        }
    }

    /**
     * Notes what the run is given, or checks that it is the same as before.
     *
     * @param inputs by name; null where there is none
     */
    void inputs(SequencedMap<String, @Nullable HostTensor> inputs) {
        ObjectNode given = JsonMapper.shared().createObjectNode();
        inputs.forEach(
                (name, tensor) -> given.put(name, tensor == null ? "none" : tensor.shape() + " " + checksum(tensor)));
        if (before != null && before.inputs() != null) {
            requireSame(path(), before.inputs(), given);
            return;
        }
        ObjectNode record = JsonMapper.shared().createObjectNode();
        record.set("inputs", given);
        folder.append(record);
    }

    private static String checksum(HostTensor tensor) {
        CRC32C crc = new CRC32C();
        ByteBuffer chunk = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN);
        float[] values = tensor.values();
        for (int i = 0; i < values.length; i += 1 << 14) {
            int count = Math.min(1 << 14, values.length - i);
            chunk.clear().asFloatBuffer().put(values, i, count);
            crc.update(chunk.limit(Float.BYTES * count));
        }
        return HexFormat.of().toHexDigits((int) crc.getValue());
    }

    /** Checks that the noise that was drawn again is the noise that was drawn. */
    void requireNoise(CountedNoise noise) {
        if (before == null) {
            return;
        }
        JsonNode expected = before.commits().getLast().record().path("noise");
        if (!expected.equals(position(noise))) {
            throw WanException.mismatch(
                    path() + ": noise", expected, position(noise), "another recording, or another JDK's generator?");
        }
    }

    private static ObjectNode position(CountedNoise noise) {
        return JsonMapper.shared()
                .createObjectNode()
                .put("draws", noise.draws())
                .put("crc32c", noise.checksum());
    }

    /**
     * From here on the run could go on.
     *
     * @param pass the last that is done
     * @param done how many passes are
     * @param name of what has to be kept for that
     * @param headGroups that the run has chosen, or null
     */
    void resumable(
            String pass, int done, String name, HostTensor kept, CountedNoise noise, @Nullable String headGroups) {
        tensors(PartialRun.STATE).writer().add(name, DType.F32, kept.shape()).write(kept.values());
        ObjectNode record = JsonMapper.shared().createObjectNode();
        record.put("pass", pass);
        record.put("passes", done);
        record.set("noise", position(noise));
        if (headGroups != null) {
            record.put("head_groups", headGroups);
        }
        ObjectNode stages = record.putObject("files");
        files.forEach((file, tensors) -> stages.set(file, tensors.stage()));
        folder.append(record);
        this.kept = true;
        passes = done;
    }

    /** The run ends early: notes captures of whole passes behind the last place to go on from, for whoever salvages them. */
    void stopped(String position) {
        if (!has(PartialRun.CAPTURES) || tensors(PartialRun.CAPTURES).staged() >= wholeTensors) {
            return;
        }
        ObjectNode record = JsonMapper.shared().createObjectNode();
        ObjectNode tail = record.putObject("tail");
        tail.put("position", position);
        tail.set("captures", tensors(PartialRun.CAPTURES).stage(wholeTensors));
        folder.append(record);
        kept = true;
    }

    /**
     * Everything is computed and whole: puts the files into their places and removes the folder.
     *
     * @param moves in order
     */
    void publish(List<PartialFolder.Move> moves) {
        if (!finished()) {
            folder.append(JsonMapper.shared().createObjectNode().put("finished", true));
        }
        kept = true;
        folder.publish(moves);
        files.values().forEach(PartialTensors::close);
        folder.remove();
        removed = true;
    }

    /** Leaves what can be gone on with, and nothing else. */
    @Override
    public void close() {
        try {
            files.values().forEach(PartialTensors::close);
            if (!kept && !removed) {
                folder.remove();
            }
        } finally {
            folder.close();
        }
    }
}
