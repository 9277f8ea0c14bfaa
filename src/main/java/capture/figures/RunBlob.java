package capture.figures;

import capture.analysis.Analysis;
import capture.analysis.CapturedPass;
import capture.analysis.FrameBlock;
import capture.analysis.Measure;
import capture.analysis.MeasureOptions;
import capture.analysis.PassSlot;
import capture.analysis.RoleOptions;
import capture.analysis.RoleRule;
import capture.analysis.Roles;
import capture.analysis.RunInfo;
import capture.analysis.SavedResult;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import wan.op.Quantity;
import wan.op.WanException;
import wan.pass.PassId;

/**
 * The numbers of one run as the report embeds them, and where they stand.
 *
 * <p>Little endian. Measures are float32 [slot, frame block, measure, head]; roles are bytes [slot, frame block, rule, head], 255 for
 * none; frame logits and mass are float16 [head, pass, query frame, key frame] without what no pass attended, NaN
 * where nothing was captured and infinity where the run computed no finite number; token maps are bytes
 * [head, key frame, row, column] between two float32 limits for each head. A head is its layer and its number within it.
 *
 * @param description what the script has to know of the run
 * @param bytes the numbers
 */
@SuppressWarnings("ArrayRecordComponent") // handed on, compared by nobody
record RunBlob(ObjectNode description, byte[] bytes) {
    private static final List<Quantity> FRAME_VALUES = List.of(Quantity.FRAME_LOGITS, Quantity.FRAME_MASS);

    private static final short NOT_CAPTURED = Float.floatToFloat16(Float.NaN);

    private static final List<Measure> MEASURES = List.of(Measure.values());
    private static final List<RoleRule> RULES = List.of(RoleRule.values());

    /** Metadata that the reader of a report has no use for: long lists that the figures show. */
    private static final List<String> LEFT_OUT =
            List.of("passes", "query_frames", "key_frames", "last_block_query_frames", "prompt_tokens");

    /**
     * What the parts of a run may take, in bytes before base64. Of what is longer, token maps and frame values are averaged over squares
     * of neighbours, and measures are there for some of the frame blocks.
     */
    record Room(long frameValues, long measures, long tokens) {
        static final Room ALL = new Room(10_000_000, 4_000_000, 3_500_000);

        /** The room of one of several runs. */
        Room sharedBy(int runs) {
            return new Room(frameValues / runs, measures / runs, tokens / runs);
        }
    }

    static RunBlob of(SavedResult result, MeasureOptions measures, RoleOptions roles, Room room) {
        return new Builder(result).build(measures, roles, room);
    }

    private static final class Builder {
        private final SavedResult result;
        private final RunInfo info;
        private final List<Quantity> quantities;
        private final List<PassSlot> slots;
        private final List<CapturedPass> passes;
        private final ObjectNode description = JsonMapper.shared().createObjectNode();
        private ByteBuffer out = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN);

        Builder(SavedResult result) {
            this.result = result;
            this.info = result.info();
            quantities = FRAME_VALUES.stream().filter(result::has).toList();
            if (quantities.isEmpty()) {
                throw new WanException(
                        result.path() + ": expected frame-logits or frame-mass, got neither; extract with"
                                + " capture.quantities frame-logits,frame-mass");
            }
            slots = result.slots(quantities.getFirst());
            passes = result.passes(quantities.getFirst());
        }

        RunBlob build(MeasureOptions measures, RoleOptions roles, Room room) {
            List<FrameBlock> blockList = measuredBlocks(room.measures());
            description.put("frames", info.frames());
            info.layers().forEach(description.putArray("layers")::add);
            info.heads().forEach(description.putArray("heads")::add);
            slots.forEach(slot -> description.withArray("/slots").add(slot.label()));
            ArrayNode blocks = description.putArray("blocks");
            blockList.forEach(
                    block -> blocks.addObject().put("first", block.first()).put("frames", block.frames()));
            description.put("allBlocks", info.frameBlocks().size());
            ArrayNode metadata = description.putArray("metadata");
            for (Map.Entry<String, String> entry : info.metadata().entrySet()) {
                if (!LEFT_OUT.contains(entry.getKey())) {
                    metadata.addArray().add(entry.getKey()).add(entry.getValue());
                }
            }
            ArrayNode passList = description.putArray("passes");
            for (CapturedPass pass : passes) {
                ObjectNode entry = passList.addObject()
                        .put("name", pass.id().label())
                        .put("slot", pass.id().kind() == PassId.Kind.INIT ? -1 : slot(pass))
                        .put("first", pass.firstFrame())
                        .put("frames", pass.frames());
                addRuns(entry.putArray("keys"), pass.keyFrames());
            }
            ObjectNode at = description.putObject("at");
            addMeasures(at, measures, roles, blockList);
            FramePool pool = FramePool.of(info.frames(), slots, passes, room.frameValues() / framesBytes());
            description.put("framePool", pool.step());
            ArrayNode bands = description.putArray("bands");
            for (FramePool.Band band : pool.bands()) {
                ObjectNode entry = bands.addObject()
                        .put("slot", band.slot())
                        .put("first", band.first())
                        .put("frames", band.frames());
                addRuns(entry.putArray("keys"), band.keys());
            }
            ArrayNode names = description.putArray("quantities");
            for (Quantity quantity : quantities) {
                String name = quantity.option().replace('-', '_');
                names.add(name);
                at.put(name, align(2));
                addFrameValues(quantity, pool);
            }
            addTokens(room.tokens());
            return new RunBlob(description, Arrays.copyOf(out.array(), out.position()));
        }

        /** Ascending frames as the first of each gapless run and the run's length, in turn; other orders likewise. */
        private static void addRuns(ArrayNode to, List<Integer> frames) {
            for (int i = 0, end; i < frames.size(); i = end) {
                for (end = i + 1; end < frames.size() && frames.get(end) == frames.get(end - 1) + 1; end++) {}
                to.add(frames.get(i)).add(end - i);
            }
        }

        /** Bytes that one cell of a matrix takes in all heads and quantities. */
        private long framesBytes() {
            return Short.BYTES * (long) info.layers().size() * info.heads().size() * quantities.size();
        }

        /** All frame blocks if there is room for their measures, else evenly spaced ones, the last among them. */
        private List<FrameBlock> measuredBlocks(long most) {
            List<FrameBlock> all = info.frameBlocks();
            long each = (long) slots.size()
                    * info.layers().size()
                    * info.heads().size()
                    * (Float.BYTES * MEASURES.size() + RULES.size());
            int step = (int) Math.max(1, Math.ceilDiv(all.size() * each, most));
            List<FrameBlock> some = new ArrayList<>();
            for (int i = (all.size() - 1) % step; i < all.size(); i += step) {
                some.add(all.get(i));
            }
            return some;
        }

        private int slot(CapturedPass pass) {
            for (int i = 0; i < slots.size(); i++) {
                if (slots.get(i).holds(pass.id())) {
                    return i;
                }
            }
            throw new IllegalStateException(pass.toString());
        }

        private void addMeasures(ObjectNode at, MeasureOptions measures, RoleOptions options, List<FrameBlock> blocks) {
            at.put("measures", align(4));
            TreeSet<Integer> has = new TreeSet<>();
            TreeSet<Integer> hasRules = new TreeSet<>();
            List<byte[]> roleBytes = new ArrayList<>();
            for (PassSlot slot : slots) {
                Analysis whole = Analysis.of(result, slot, info.frameBlocks().getFirst(), measures);
                for (FrameBlock block : blocks) {
                    Analysis analysis = whole.seenFrom(block);
                    for (Measure measure : MEASURES) {
                        for (double value : analysis.measure(measure)) {
                            room(4).putFloat((float) value);
                            if (!Double.isNaN(value)) {
                                has.add(MEASURES.indexOf(measure));
                            }
                        }
                    }
                    for (RoleRule rule : RULES) {
                        Roles roles = rule.of(analysis, options);
                        byte[] row = new byte[roles.roles().size()];
                        for (int i = 0; i < row.length; i++) {
                            @Nullable String role = roles.roles().get(i);
                            row[i] = (byte) (role == null ? -1 : rule.names().indexOf(role));
                            if (role != null) {
                                hasRules.add(RULES.indexOf(rule));
                            }
                        }
                        roleBytes.add(row);
                    }
                }
            }
            at.put("roles", align(1));
            roleBytes.forEach(row -> room(row.length).put(row));
            has.forEach(description.putArray("has")::add);
            hasRules.forEach(description.putArray("hasRules")::add);
        }

        private void addFrameValues(Quantity quantity, FramePool pool) {
            if (pool.step() > 1) {
                addPooledValues(quantity, pool);
                return;
            }
            for (int layer : info.layers()) {
                List<float[]> values = new ArrayList<>();
                for (CapturedPass pass : passes) {
                    values.add(result.has(quantity, pass) ? result.values(quantity, pass, layer) : new float[0]);
                }
                for (int h = 0; h < info.heads().size(); h++) {
                    for (int p = 0; p < passes.size(); p++) {
                        float[] its = values.get(p);
                        int cells = passes.get(p).frames()
                                * passes.get(p).keyFrames().size();
                        for (int i = h * cells; i < (h + 1) * cells; i++) {
                            room(2).putShort(its.length == 0 ? NOT_CAPTURED : half(its[i]));
                        }
                    }
                }
            }
        }

        private void addPooledValues(Quantity quantity, FramePool pool) {
            for (int layer : info.layers()) {
                FramePool.Means means = pool.means(info.heads().size());
                for (CapturedPass pass : passes) {
                    if (result.has(quantity, pass)) {
                        means.add(pass, result.values(quantity, pass, layer));
                    }
                }
                means.forEach(value -> room(2).putShort(Float.isNaN(value) ? NOT_CAPTURED : half(value)));
            }
        }

        /** Infinity stands for all that is not finite. */
        private static short half(float value) {
            return Float.floatToFloat16(Float.isFinite(value) ? value : Float.POSITIVE_INFINITY);
        }

        /** Token maps of as many passes as there is room for, the last frame block's first. */
        private void addTokens(long tokenBytes) {
            ArrayNode tokens = description.putArray("tokens");
            List<CapturedPass> wanted = result.passes(Quantity.KEY_LOGITS).stream()
                    .filter(passes::contains)
                    .sorted((a, b) -> a.firstFrame() != b.firstFrame()
                            ? b.firstFrame() - a.firstFrame()
                            : passes.indexOf(a) - passes.indexOf(b))
                    .toList();
            int pool = 1;
            if (!wanted.isEmpty()) {
                while (bytes(wanted.getFirst(), pool) > tokenBytes
                        && pool < Math.min(info.tokenRows(), info.tokenCols())) {
                    pool++;
                }
            }
            description
                    .put("tokenRows", pooled(info.tokenRows(), pool))
                    .put("tokenCols", pooled(info.tokenCols(), pool))
                    .put("pooled", pool);
            long left = tokenBytes;
            for (CapturedPass pass : wanted) {
                left -= bytes(pass, pool);
                if (left < 0 && !tokens.isEmpty()) {
                    return;
                }
                ObjectNode entry = tokens.addObject().put("pass", passes.indexOf(pass));
                entry.put("limitsAt", align(4));
                addTokens(entry, pass, pool);
            }
        }

        private long bytes(CapturedPass pass, int pool) {
            return (long) info.layers().size()
                    * info.heads().size()
                    * pass.keyFrames().size()
                    * pooled(info.tokenRows(), pool)
                    * pooled(info.tokenCols(), pool);
        }

        private static int pooled(int count, int pool) {
            return (count + pool - 1) / pool;
        }

        private void addTokens(ObjectNode entry, CapturedPass pass, int pool) {
            List<float[]> maps = new ArrayList<>();
            for (int layer : info.layers()) {
                float[] values = result.values(Quantity.KEY_LOGITS, pass, layer);
                for (int h = 0; h < info.heads().size(); h++) {
                    float[] map = pool(values, h, pass, pool);
                    float low = Float.POSITIVE_INFINITY;
                    float high = Float.NEGATIVE_INFINITY;
                    for (float value : map) {
                        low = Math.min(low, value);
                        high = Math.max(high, value);
                    }
                    if (!Float.isFinite(low) || !Float.isFinite(high)) {
                        low = Float.POSITIVE_INFINITY; // the whole map is shown as not finite
                        high = low;
                    }
                    room(8).putFloat(low).putFloat(high);
                    maps.add(map);
                    for (int i = 0; i < map.length; i++) {
                        map[i] = high > low ? (map[i] - low) / (high - low) * 255 : 0;
                    }
                }
            }
            entry.put("at", align(1));
            for (float[] map : maps) {
                room(map.length);
                for (float step : map) {
                    out.put((byte) Math.round(step));
                }
            }
        }

        /** Means over the pass's query frames and over squares of tokens, [K, rows, cols]. */
        private float[] pool(float[] values, int head, CapturedPass pass, int pool) {
            int tokens = info.frameSeqLen();
            int frames = pass.keyFrames().size();
            int rows = pooled(info.tokenRows(), pool);
            int cols = pooled(info.tokenCols(), pool);
            double[] sums = new double[frames * rows * cols];
            int[] counts = new int[sums.length];
            for (int q = 0; q < pass.frames(); q++) {
                for (int k = 0; k < frames * tokens; k++) {
                    int row = k % tokens / info.tokenCols() / pool;
                    int col = k % tokens % info.tokenCols() / pool;
                    int cell = (k / tokens * rows + row) * cols + col;
                    sums[cell] += values[(head * pass.frames() + q) * frames * tokens + k];
                    counts[cell]++;
                }
            }
            float[] means = new float[sums.length];
            for (int i = 0; i < means.length; i++) {
                means[i] = (float) (sums[i] / counts[i]);
            }
            return means;
        }

        private int align(int bytes) {
            room(bytes);
            while (out.position() % bytes != 0) {
                out.put((byte) 0);
            }
            return out.position();
        }

        private ByteBuffer room(int bytes) {
            if (out.remaining() < bytes) {
                int capacity = Math.max(Math.multiplyExact(out.capacity(), 2), Math.addExact(out.position(), bytes));
                out = ByteBuffer.allocate(capacity)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .put(out.flip());
            }
            return out;
        }
    }
}
