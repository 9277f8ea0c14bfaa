package tornado;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.exceptions.TornadoBailoutRuntimeException;
import uk.ac.manchester.tornado.api.exceptions.TornadoOutOfMemoryException;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import wan.backend.MemoryPlan;
import wan.op.DType;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.WanException;

/**
 * Collects calls into segments and those into batches. A batch runs when a result is needed or the outermost scope closes, so a whole
 * pass is recorded at once, and from then on runs with one wait for the device.
 */
final class Recorder implements AutoCloseable {
    /** What NVIDIA recommends for an H100: 32 MiB. */
    private static final int MOST_WORKSPACE = 8 << 20;

    /** Some of it is lost to alignment. */
    private static final int LEAST_WORKSPACE = 128;

    /** Page tables grow with the pass: room for the next ones saves recording again. */
    private static final int QUEUE_STEP = 1024;

    private final DeviceTarget target;
    private final Parameters parameters;
    private final ScratchStack scratch;
    private final Counters counters = new Counters();
    private final Map<String, List<DeviceLinear>> unplaced = new LinkedHashMap<>();
    private final List<WeightShard> shards = new ArrayList<>();
    private final WideStore wideWeights = new WideStore();
    private final List<PagePool> pools = new ArrayList<>();
    private Batch pending = new Batch();
    private Segment current = new Segment();
    private final boolean rehearsal;
    /** What the program of a rehearsal would be. */
    private final Set<Segment.Key> rehearsedKeys = new LinkedHashSet<>();

    private Program.Sizes rehearsedSizes = new Program.Sizes(0, 0, Batch.Needs.NONE, 0, 0);

    private @Nullable Program program;
    /** What the largest segment needs. */
    private Batch.Needs segmentNeeds = Batch.Needs.NONE;

    private int mostFrames;
    private int workspaceFloats;
    private @Nullable Rounded rounded;
    private boolean failed;
    private @Nullable Forecast forecast;
    private String layer = "";
    private int watched;
    private Program.FloatConsumer watcher = value -> {};
    /** Whether the present program has parameters that have not been added yet. */
    private boolean foreseen;

    /**
     * Nothing is recorded yet.
     *
     * @param rehearsal whether to note only what a run would need: nothing is allocated and nothing is run
     */
    Recorder(DeviceTarget target, Parameters parameters, ScratchStack scratch, boolean rehearsal) {
        this.target = target;
        this.parameters = parameters;
        this.scratch = scratch;
        this.rehearsal = rehearsal;
    }

    Counters counters() {
        return counters;
    }

    /** Notes which layer the calls to come belong to, for a message. */
    void in(String name) {
        layer = name;
    }

    /** Which layer ran last, for a message: {@code " after NAME"}, or empty. */
    String afterLayer() {
        return layer.isEmpty() ? "" : " after " + layer;
    }

    /** One of the activations, which {@code to} is told at the end of every batch. */
    void watch(DeviceTensor value, Program.FloatConsumer to) {
        watched = value.offset();
        watcher = to;
    }

    /** A scope within one operation: its graphs do not end with it. */
    Scope lent() {
        return scratch.open(outermost -> {
            if (outermost) {
                drain();
            }
        });
    }

    /**
     * Activations that the last call has left in 16 or 8 bits as well.
     *
     * @param from where they are as floats
     * @param to where they are in the array of halves
     * @param dtype what they are there
     * @param scales of the rows among the activations, if they are in 8 bits
     * @param number of the rounding
     */
    record Rounded(int from, int to, DType dtype, int scales, int number) {}

    /** What the last call has left in 16 or 8 bits as well, or null. */
    @Nullable
    Rounded rounded() {
        return rounded;
    }

    /** The last call, if nothing has come after it and it is of this kernel. */
    @Nullable
    Call last(Kernel kernel) {
        Call call = current.last();
        return call != null && call.kernel() == kernel ? call : null;
    }

    /** Takes back the last call, for one that does its work too. */
    void removeLast() {
        current.removeLast();
    }

    /** Adds a call that leaves activations in 16 or 8 bits as well. */
    void addRounding(Call call, Rounded of) {
        add(call);
        rounded = of;
    }

    /** Adds a call to the present segment. */
    void add(Call call) {
        rounded = null;
        if (!current.hasRoom(1)) {
            cut();
        }
        if (call.kernel() == Kernel.MATMUL) {
            long sums = (long) call.arguments()[0] * call.arguments()[2];
            workspaceFloats = Math.max(workspaceFloats, Math.clamp(sums, LEAST_WORKSPACE, MOST_WORKSPACE));
        }
        if (call.kernel() == Kernel.SDPA) {
            workspaceFloats = Math.max(workspaceFloats, CudnnAttention.WORKSPACE);
        }
        current.add(call, scratch.top());
    }

    /** Adds calls that belong into one graph. */
    void addTogether(List<Call> calls) {
        if (!current.hasRoom(calls.size())) {
            cut();
        }
        calls.forEach(this::add);
    }

    /** Sends values to a place among the activations. */
    void upload(DeviceTensor to, float[] values) {
        if (values.length == 0) {
            return;
        }
        if (!current.takesUpload(to.offset(), values.length)) {
            cut();
        }
        rounded = null;
        current.upload(to.offset(), values);
    }

    /** Sends values to new scratch. */
    DeviceTensor upload(float[] values) {
        DeviceTensor to = scratch.take(Shape.of(values.length));
        upload(to, values);
        return to;
    }

    /** Fetches activations, when the segment they end has run. */
    void fetch(DeviceTensor from, Consumer<float[]> to) {
        int count = from.shape().intSize();
        add(elements(Kernel.DOWNLOAD, null, count, from.offset()));
        current.deliver(count, to);
        cut();
    }

    /** A call of a kernel with one item per element, their number first in the slot. */
    Call elements(Kernel kernel, @Nullable Store store, int items, int... arguments) {
        return elements(kernel, store, null, items, List.of(), arguments);
    }

    /** Adds a call with one item per element, on activations and parameters alone. */
    void addElements(Kernel kernel, int items, int... arguments) {
        if (items > 0) {
            add(elements(kernel, null, items, arguments));
        }
    }

    Call elements(
            Kernel kernel,
            @Nullable Store first,
            @Nullable Store second,
            int items,
            List<Call.Table> tables,
            int... arguments) {
        int[] slot = new int[arguments.length + 1];
        slot[0] = items;
        System.arraycopy(arguments, 0, slot, 1, arguments.length);
        return Call.elements(kernel, first, second, items, tables, slot);
    }

    /** Registers the parameters of a linear layer; they are placed when one of their kind is used. */
    void register(DeviceLinear linear) {
        unplaced.computeIfAbsent(linear.kind(), kind -> new ArrayList<>()).add(linear);
    }

    /** Takes over what a rehearsal of the same passes has seen, before anything is placed or recorded. */
    void expect(Forecast all) {
        forecast = all;
    }

    /** Lays out weights and pages as the rehearsal has; all layers are registered by now. */
    private void layOut() {
        Forecast all = forecast;
        if (all == null || !shards.isEmpty() || !pools.isEmpty()) {
            return;
        }
        Map<String, DeviceLinear> byName = new HashMap<>();
        unplaced.values().forEach(kind -> kind.forEach(linear -> byName.put(linear.name(), linear)));
        if (!all.shards().stream().allMatch(names -> byName.keySet().containsAll(names))) {
            forecast = null; // another model
            return;
        }
        for (List<String> names : all.shards()) {
            WeightShard shard = shard();
            shards.add(shard);
            for (String name : names) {
                place(Objects.requireNonNull(byName.get(name)), shard);
            }
            shard.close();
        }
        unplaced.values().forEach(kind -> kind.removeIf(DeviceLinear::placed));
        unplaced.values().removeIf(List::isEmpty);
        for (PagePool like : all.pools()) {
            PagePool pool = pool(like.geometry());
            pool.reserve(like);
            pools.add(pool);
        }
        parameters.expect(all.parameters());
    }

    private void place(DeviceLinear linear, WeightShard shard) {
        linear.place(shard);
        if (shard.dtype() != DType.F32 && !target.cublas()) {
            wideWeights.reserve(linear.packedElements());
        }
    }

    /** Panels for our kernels, plain for a library. */
    private WeightShard shard() {
        return new WeightShard(target.storage().weights(), target.cublas());
    }

    /** Gives all layers of this one's kind a place, together where that is possible. */
    void place(DeviceLinear linear) {
        layOut();
        if (linear.placed()) {
            return;
        }
        List<DeviceLinear> kind = unplaced.remove(linear.kind());
        if (kind == null) {
            throw new IllegalStateException(linear.name() + " was not registered");
        }
        DType dtype = target.storage().weights();
        long limit = target.arrayElements(dtype);
        for (DeviceLinear member : kind) {
            int elements = member.elements(dtype, target.cublas());
            if (elements > limit) {
                throw WanException.mismatch(
                        "linear " + member.name() + " on device " + target.name(),
                        "at most " + dtype.bytes(limit) + " bytes in one array of the device",
                        dtype.bytes(elements),
                        "use another device.name, or jvm");
            }
            WeightShard last = shards.isEmpty() ? null : shards.getLast();
            if (last == null || !last.hasRoom(elements, limit)) {
                last = shard();
                shards.add(last);
            }
            place(member, last);
        }
    }

    /** Room for the weights of one linear layer in float32, where they are stored in 16 bits. */
    WideStore wideWeights() {
        return wideWeights;
    }

    /** Takes pages for a cache. */
    DeviceCache cache(PagePool.Geometry geometry, int batch, int pages) {
        layOut();
        int count = Math.multiplyExact(batch, pages);
        for (PagePool pool : pools) {
            if (pool.geometry().equals(geometry)) {
                int first = pool.take(count);
                if (first >= 0) {
                    return new DeviceCache(pool, first, batch, pages);
                }
            }
        }
        PagePool fresh = pool(geometry);
        int first = fresh.take(count);
        if (first < 0) {
            throw WanException.mismatch(
                    "keys and values of one layer on device " + target.name(),
                    "at most " + DType.F32.bytes(target.arrayElements(DType.F32)) + " bytes in one array of the device",
                    DType.F32.bytes((long) count * Math.max(geometry.keyElements(), geometry.valueElements())),
                    MemoryPlan.smaller());
        }
        pools.add(fresh);
        return new DeviceCache(fresh, first, batch, pages);
    }

    private PagePool pool(PagePool.Geometry geometry) {
        // What is widened is float32 again, and in one array too.
        boolean rows = SdpaCalls.suits(target, geometry.headDim());
        return new PagePool(geometry, target.storage().cache(), rows, target.arrayElements(DType.F32));
    }

    /** Notes the frames of a pass. */
    void sawFrames(int frames) {
        mostFrames = Math.max(mostFrames, frames);
    }

    /** A rollout that begins with one frame goes on with frame blocks of three: room for them saves recording again. */
    private int framesToCome() {
        return mostFrames == 0 ? 1 : Math.ceilDiv(3, mostFrames);
    }

    /** Ends a segment. It runs with those that wait, when they are drained or no other fits to them. */
    void cut() {
        if (current.isEmpty()) {
            return;
        }
        Segment ended = current;
        ended.end(layer);
        current = new Segment();
        segmentNeeds = segmentNeeds.max(ended.needs());
        if (!pending.takes(ended, room(ended))) {
            run();
        }
        pending.add(ended);
        if (rehearsal) {
            rehearsedKeys.add(ended.key());
        }
    }

    /** What a batch may need with this segment: what the program has room for, if it is to stay. */
    private Batch.Needs room(Segment next) {
        Program present = program;
        if (present == null || !fits(present)) {
            return Batch.Needs.MOST;
        }
        Set<Segment.Key> known = present.keys();
        boolean stays = known.contains(next.key())
                && pending.segments().stream().allMatch(segment -> known.contains(segment.key()));
        return stays ? present.room() : Batch.Needs.MOST;
    }

    /** Whether something failed since the last time that all that was waiting could run. */
    boolean hasFailed() {
        return failed;
    }

    /** Runs all that is waiting. */
    void drain() {
        cut();
        run();
        failed = false;
    }

    private void run() {
        if (rehearsal && !(pending.isEmpty() && rehearsedSizes.hold(sizes()))) {
            rehearsedSizes = sizesWithRoom().max(rehearsedSizes);
            shards.forEach(WeightShard::close);
        }
        Batch batch = pending;
        if (batch.isEmpty()) {
            return;
        }
        counters.asked(batch);
        if (rehearsal) {
            pending = new Batch();
            return;
        }
        Program present = program;
        Set<Segment.Key> keys = new LinkedHashSet<>();
        batch.segments().forEach(segment -> keys.add(segment.key()));
        try {
            if (present == null || !present.keys().containsAll(keys) || !fits(present)) {
                present = record(present, keys);
            }
            pending = new Batch();
            present.run(batch);
        } catch (TornadoRuntimeException | TornadoBailoutRuntimeException | TornadoOutOfMemoryException e) {
            failed = true;
            throw target.failure(e);
        } catch (RuntimeException e) {
            failed = true;
            throw e;
        } finally {
            pending = new Batch(); // closing the scopes must not try again
        }
    }

    private Program record(@Nullable Program before, Set<Segment.Key> keys) {
        Set<Segment.Key> all = new LinkedHashSet<>();
        Program.Sizes sizes = sizesWithRoom();
        Program.Kept kept = null;
        try {
            if (before != null) {
                all.addAll(before.keys());
                sizes = sizes.max(before.sizes());
                kept = before.pull();
                program = null; // whatever happens now, it must not be used again
                before.close();
            }
            Forecast known = before == null && parameters.areAsExpected() ? forecast : null;
            if (known != null) {
                all.addAll(known.keys(shards, wideWeights, pools));
                sizes = sizes.max(known.sizes());
            }
            if (known == null || !all.containsAll(keys)) {
                all.addAll(keys);
            }
            foreseen = known != null;
            plan(sizes, all).check();
            shards.forEach(WeightShard::close);
            Program fresh = new Program(target, sizes, parameters.values(), watched, watcher, all, kept, counters);
            program = fresh;
            return fresh;
        } catch (TornadoRuntimeException | TornadoBailoutRuntimeException | TornadoOutOfMemoryException e) {
            throw target.failure(e);
        }
    }

    /** Whether everything is as large in a program as it has to be by now, and its parameters are those that were added since. */
    private boolean fits(Program present) {
        return present.fits(sizes()) && (!foreseen || parameters.areAsExpected());
    }

    private int roomFor(int floats) {
        return (int) Math.min(DeviceTarget.MAX_ELEMENTS, (long) floats * framesToCome());
    }

    /** What is needed by now, and by the larger frame blocks to come. */
    private Program.Sizes sizesWithRoom() {
        Program.Sizes now = sizes();
        Batch.Needs batch = now.batch().max(pending.needs());
        int queue = Math.ceilDiv(batch.queue(), QUEUE_STEP) * QUEUE_STEP;
        Batch.Needs room = new Batch.Needs(queue, roomFor(batch.input()), roomFor(batch.output()));
        return new Program.Sizes(
                roomFor(now.act()),
                now.params(),
                room,
                roomFor(now.halves()),
                Math.min(MOST_WORKSPACE, roomFor(now.workspace())));
    }

    private Program.Sizes sizes() {
        return new Program.Sizes(
                Math.max(16, scratch.peak()),
                parameters.count(),
                segmentNeeds,
                scratch.peakOfHalves(),
                workspaceFloats);
    }

    /** What a rehearsal has seen. */
    Forecast forecast() {
        return new Forecast(shards, wideWeights, pools, rehearsedKeys, rehearsedSizes, parameters.values());
    }

    /** What the program of a rehearsal would need. */
    MemoryPlan rehearsedPlan() {
        return plan(rehearsedSizes, rehearsedKeys);
    }

    /** What the present program needs; for tests. */
    MemoryPlan presentPlan() {
        Program present = Objects.requireNonNull(program);
        return plan(present.sizes(), present.keys());
    }

    private MemoryPlan plan(Program.Sizes sizes, Collection<Segment.Key> keys) {
        Set<Store> stores = new LinkedHashSet<>();
        for (Segment.Key key : keys) {
            for (Call.Shape call : key.calls()) {
                if (call.first() != null) {
                    stores.add(call.first());
                }
                if (call.second() != null) {
                    stores.add(call.second());
                }
            }
        }
        long weights = 0;
        long pages = 0;
        long largestStore = 0;
        long activations = 4L * sizes.act();
        Batch.Needs batch = sizes.batch();
        long rest = activations + 4L * ((long) sizes.params() + batch.queue() + batch.input() + batch.output());
        rest += 2L * sizes.halves() + 4L * sizes.workspace();
        for (Store store : stores) {
            largestStore = Math.max(largestStore, store.bytes());
            switch (store.use()) {
                case WEIGHTS -> weights += store.bytes();
                case PAGES -> pages += store.bytes();
                case SCRATCH -> rest += store.bytes();
            }
        }
        boolean activationsLargest = activations > largestStore;
        return new MemoryPlan(
                target.name(),
                weights,
                pages,
                rest,
                activationsLargest ? "activations" : "weights, keys or values of one kind",
                Math.max(activations, largestStore),
                target.memoryBytes(),
                target.arrayBytes());
    }

    @Override
    public void close() {
        pending = new Batch();
        if (program != null) {
            program.close();
            program = null;
        }
    }
}
