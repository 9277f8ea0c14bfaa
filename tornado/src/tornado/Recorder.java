package tornado;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import wan.op.DType;
import wan.op.WanException;

/**
 * Collects calls into segments and runs them. A segment whose graph is known runs as soon as it is complete; an unknown one waits,
 * with all that follow, until a result is needed or the outermost scope closes, so that a whole pass is recorded at once.
 */
final class Recorder implements AutoCloseable {
    private final DeviceTarget target;
    private final Parameters parameters;
    private final ScratchStack scratch;
    private final Counters counters = new Counters();
    private final Map<String, List<DeviceLinear>> unplaced = new LinkedHashMap<>();
    private final List<WeightShard> shards = new ArrayList<>();
    private final WideStore wideWeights = new WideStore();
    private final List<PagePool> pools = new ArrayList<>();
    private final List<Segment> pending = new ArrayList<>();
    private Segment current = new Segment();
    private @Nullable Program program;
    private int inputFloats;
    private int outputFloats;
    private int framesToCome = 1;
    private boolean failed;

    Recorder(DeviceTarget target, Parameters parameters, ScratchStack scratch) {
        this.target = target;
        this.parameters = parameters;
        this.scratch = scratch;
    }

    Counters counters() {
        return counters;
    }

    /** Adds a call to the present segment. */
    void add(Call call) {
        if (current.isFull()) {
            cut();
        }
        current.add(call);
    }

    /** Sends values to a place among the activations. */
    void upload(DeviceTensor to, float[] values) {
        if (current.isFull()) {
            cut();
        }
        int from = current.upload(values);
        inputFloats = Math.max(inputFloats, current.uploadFloats());
        add(elements(Kernel.UPLOAD, null, values.length, from, to.offset()));
    }

    /** Fetches activations, when the segment they end has run. */
    void fetch(DeviceTensor from, Consumer<float[]> to) {
        int count = from.shape().intSize();
        add(elements(Kernel.DOWNLOAD, null, count, from.offset()));
        current.deliver(count, to);
        outputFloats = Math.max(outputFloats, count);
        cut();
    }

    /** A call of a kernel with one item per element, their number first in the slot. */
    Call elements(Kernel kernel, @Nullable Store store, int items, int... arguments) {
        return elements(kernel, store, null, items, List.of(), arguments);
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
        int groupItems = DeviceTarget.ELEMENT_ITEMS;
        return new Call(kernel, first, second, slot, tables, Math.ceilDiv(items, groupItems), groupItems);
    }

    /** Registers the parameters of a linear layer; they are placed when one of their kind is used. */
    void register(DeviceLinear linear) {
        unplaced.computeIfAbsent(linear.kind(), kind -> new ArrayList<>()).add(linear);
    }

    /** Gives all layers of this one's kind a place, together where that is possible. */
    void place(DeviceLinear linear) {
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
            if (member.packedElements() > limit) {
                throw WanException.mismatch(
                        "linear " + member.name(),
                        "at most " + limit + " packed weights in one array of this device",
                        member.packedElements(),
                        "");
            }
            WeightShard last = shards.isEmpty() ? null : shards.getLast();
            if (last == null || !last.hasRoom(member.packedElements(), limit)) {
                last = new WeightShard(dtype);
                shards.add(last);
            }
            member.place(last);
            if (dtype != DType.F32) {
                wideWeights.reserve(member.packedElements());
            }
        }
    }

    /** Room for the weights of one linear layer in float32, where they are stored in 16 bits. */
    WideStore wideWeights() {
        return wideWeights;
    }

    /** Takes pages for a cache. */
    DeviceCache cache(PagePool.Geometry geometry, int batch, int pages) {
        int count = Math.multiplyExact(batch, pages);
        for (PagePool pool : pools) {
            if (pool.geometry().equals(geometry)) {
                int first = pool.take(count);
                if (first >= 0) {
                    return new DeviceCache(pool, first, batch, pages);
                }
            }
        }
        DType dtype = target.storage().cache();
        // What is widened is float32 again, and in one array too.
        PagePool fresh = new PagePool(geometry, dtype, target.arrayElements(DType.F32));
        int first = fresh.take(count);
        if (first < 0) {
            throw WanException.mismatch(
                    "cache",
                    "at most " + target.arrayElements(DType.F32) + " values in one array of this device",
                    count + " pages of " + geometry,
                    "a shorter window, or fewer frames");
        }
        pools.add(fresh);
        return new DeviceCache(fresh, first, batch, pages);
    }

    /** A rollout that begins with one frame goes on with frame blocks of three: room for them saves recording again. */
    void expectFrames(int framesOfThisPass) {
        framesToCome = Math.max(framesToCome, Math.ceilDiv(3, framesOfThisPass));
    }

    /** Ends a segment. It runs at once if its graph is known and none is waiting. */
    void cut() {
        if (current.isEmpty()) {
            return;
        }
        pending.add(current);
        current = new Segment();
        if (pending.size() == 1
                && program != null
                && program.knows(pending.getFirst().key())
                && program.fits(sizes())) {
            runPending(program);
        }
    }

    /** Whether something failed since the last time that all that was waiting could run. */
    boolean hasFailed() {
        return failed;
    }

    /** Runs all that is waiting. */
    void drain() {
        cut();
        if (pending.isEmpty()) {
            failed = false;
            return;
        }
        Program present = program;
        Set<Segment.Key> keys = new LinkedHashSet<>();
        pending.forEach(segment -> keys.add(segment.key()));
        if (present == null || !present.keys().containsAll(keys) || !present.fits(sizes())) {
            try {
                present = record(present, keys);
            } catch (RuntimeException e) {
                pending.clear(); // closing the scopes must not try again
                failed = true;
                throw e;
            }
        }
        runPending(present);
        failed = false;
    }

    private void runPending(Program present) {
        List<Segment> now = List.copyOf(pending);
        pending.clear();
        try {
            now.forEach(present::run);
        } catch (TornadoRuntimeException e) {
            failed = true;
            throw target.failure(e);
        }
    }

    private Program record(@Nullable Program before, Set<Segment.Key> keys) {
        Set<Segment.Key> all = new LinkedHashSet<>();
        Program.Sizes sizes = sizes();
        sizes = new Program.Sizes(
                roomFor(sizes.act()), sizes.params(), roomFor(sizes.input()), roomFor(sizes.output()));
        MemorySegment kept = null;
        try {
            if (before != null) {
                all.addAll(before.keys());
                kept = before.pull();
                program = null; // whatever happens now, it must not be used again
                before.close();
            }
            all.addAll(keys);
            target.plan(needs(sizes, all));
            Program fresh = new Program(target.device(), sizes, parameters.values(), all, kept, counters);
            program = fresh;
            return fresh;
        } catch (TornadoRuntimeException e) {
            throw target.failure(e);
        }
    }

    private int roomFor(int floats) {
        return (int) Math.min(DeviceTarget.MAX_ELEMENTS, (long) floats * framesToCome);
    }

    private Program.Sizes sizes() {
        return new Program.Sizes(Math.max(16, scratch.peak()), parameters.count(), inputFloats, outputFloats);
    }

    private DeviceTarget.Needs needs(Program.Sizes sizes, Collection<Segment.Key> keys) {
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
        long rest = 4L * (sizes.act() + (long) sizes.params() + sizes.input() + sizes.output());
        for (Store store : stores) {
            switch (store.use()) {
                case WEIGHTS -> weights += store.bytes();
                case PAGES -> pages += store.bytes();
                case SCRATCH -> rest += store.bytes();
            }
        }
        return new DeviceTarget.Needs(weights, pages, rest);
    }

    @Override
    public void close() {
        pending.clear();
        if (program != null) {
            program.close();
            program = null;
        }
    }
}
