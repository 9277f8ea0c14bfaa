package tornado;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.ImmutableTaskGraph;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;
import wan.backend.MemoryPlan;
import wan.op.DeviceException;
import wan.op.WanException;

/**
 * One execution plan with a task graph for every kind of segment. The only class that says what stays on the device.
 *
 * <p>Graph 0 puts every shared array there, graph 1 fetches those that kernels write, the others follow the keys. Every graph consumes
 * all shared arrays, used there or not: a graph that consumes only some breaks the next one (TornadoVM 5.2.0). Slots and tables are
 * data, so nothing is ever compiled twice.
 *
 * <p>A batch is one graph that sends, the graphs of its segments, and one that fetches; only in the last the host waits. With
 * {@code withIntraPlanConcurrency}, TornadoVM does not wait at the end of a graph ({@code TornadoTaskGraph.waitOn} asks an empty event),
 * and runs graphs whose tasks form a chain on one stream ({@code isSerialTaskGraph}). Ours do: every kernel writes its counter into the
 * activations.
 */
final class Program implements AutoCloseable {
    private static final int TABLE_INTS = 8192;
    /** They come back as floats. */
    private static final int MOST_TICKETS = 1 << 24;

    private static final int INIT = 0;
    private static final int PULL = 1;
    private static final int SEND = 2;
    private static final int FETCH = 3;

    private static final String FEED = Kernel.FEED.taskName();
    private static final String BEGIN = Kernel.BEGIN.taskName();

    /**
     * TornadoVM compiles a kernel for every name of a graph and a task (5.2.0, {@code CUDATornadoDevice.compileTask}). So all graphs
     * of segments have one name, and a task is named by its kernel and by how many of the kernel come before it.
     */
    private static final String SEGMENTS = "g";

    /**
     * Sizes of the arrays that are not stores.
     *
     * @param act floats of activations
     * @param params how many small parameters
     * @param batch what goes up with one batch and what comes down
     * @param halves 16-bit activations
     * @param workspace floats that libraries may use; 0 where none is called
     */
    record Sizes(int act, int params, Batch.Needs batch, int halves, int workspace) {
        /** Whether all that {@code other} needs fits into these. */
        boolean hold(Sizes other) {
            return other.act <= act
                    && other.params <= params
                    && batch.hold(other.batch)
                    && other.halves <= halves
                    && other.workspace <= workspace;
        }

        /** The larger of each. */
        Sizes max(Sizes other) {
            return new Sizes(
                    Math.max(act, other.act),
                    Math.max(params, other.params),
                    batch.max(other.batch),
                    Math.max(halves, other.halves),
                    Math.max(workspace, other.workspace));
        }
    }

    /** Takes one value. */
    @FunctionalInterface
    interface FloatConsumer {
        void accept(float value);
    }

    private final KernelContext context = new KernelContext();
    /**
     * Slots and tables of the segment that runs; the first integer stays 0. Only the device writes its side. The host's has the slots of
     * libraries, which read them there.
     */
    private final IntArray step;

    private final StepQueue queue;
    /** Where the slot of a task is, by its name: a slot's place is part of what is compiled. */
    private final Map<String, Integer> slots = new HashMap<>();

    private final FloatArray act;
    private final FloatArray params;
    private final FloatArray input;
    private final FloatArray output;
    private final ShortArray halves;
    private final FloatArray workspace;
    private final DeviceTarget target;
    private final Sizes sizes;
    private final Launches launches;
    private final FloatConsumer watcher;
    private final Set<Store> stores = new LinkedHashSet<>();
    private final Map<Segment.Key, Integer> graphs = new LinkedHashMap<>();
    private final Map<String, WorkerGrid1D> grids = new HashMap<>();
    private final GridScheduler scheduler = new GridScheduler();
    private final Set<Integer> compiled = new LinkedHashSet<>();
    private final TornadoExecutionPlan plan;
    private final Counters counters;
    private int tickets;

    /**
     * Records all graphs and puts the shared arrays on the device.
     *
     * @param parameters all small parameters
     * @param watched which activation goes with every ticket, to {@code watcher}
     * @param kept activations of the program before this one, if any
     */
    Program(
            DeviceTarget target,
            Sizes sizes,
            float[] parameters,
            int watched,
            FloatConsumer watcher,
            Collection<Segment.Key> keys,
            @Nullable Kept kept,
            Counters counters) {
        this.target = target;
        this.counters = counters;
        this.sizes = sizes;
        this.watcher = watcher;
        long start = System.nanoTime();
        slots.put(FEED, 0);
        slots.put(BEGIN, Call.SLOT);
        for (Segment.Key key : keys) {
            for (String task : tasks(key)) {
                slots.putIfAbsent(task, slots.size() * Call.SLOT);
            }
        }
        launches = new Launches(slots.size());
        for (Segment.Key key : keys) {
            for (Call.Shape call : key.calls()) {
                addStore(call.first());
                addStore(call.second());
            }
        }
        halves = new ShortArray(Math.max(16, sizes.halves()));
        halves.set(0, (short) 1); // for the check that it has arrived
        workspace = new FloatArray(Math.max(16, sizes.workspace()));
        workspace.set(0, 1);
        // Of what is shared, but for the activations.
        int samples = 2 + (sizes.workspace() > 0 ? 1 : 0) + stores.size();
        act = new FloatArray(sizes.act() + launches.tasks() + samples);
        act.init(0);
        if (kept != null) {
            copy(kept.act(), act.getSegment());
            copy(kept.halves(), halves.getSegment());
        }
        params = new FloatArray(parameters.length);
        MemorySegment.copy(parameters, 0, params.getSegment(), ValueLayout.JAVA_FLOAT, 0, parameters.length);
        input = new FloatArray(1 + sizes.batch().input()); // and the number of the execution
        output = new FloatArray(Math.max(samples, sizes.batch().output()) + 2 + launches.tasks());
        step = new IntArray(touches() + 2 * samples + Call.SLOT);
        queue = new StepQueue(sizes.batch().queue());
        queue.set(StepQueue.COUNTERS, launches.tasks());
        queue.set(StepQueue.FIRST_COUNTER, sizes.act());
        queue.set(StepQueue.WATCHED, watched);
        queue.set(StepQueue.BEGIN, counter(BEGIN));
        List<ImmutableTaskGraph> recorded = new ArrayList<>();
        recorded.add(initGraph());
        recorded.add(pullGraph());
        recorded.add(sendGraph());
        recorded.add(fetchGraph());
        for (Segment.Key key : keys) {
            graphs.put(key, recorded.size());
            recorded.add(graph(key));
        }
        plan = new TornadoExecutionPlan(recorded.toArray(new ImmutableTaskGraph[0]));
        TornadoExecutionPlan _ = plan.withDevice(target.device());
        TornadoExecutionPlan _ = plan.withGridScheduler(scheduler);
        if (target.runsAhead()) {
            TornadoExecutionPlan _ = plan.withIntraPlanConcurrency();
        }
        // On CUDA, weights go up through a few pinned pieces instead of being pinned as a whole.
        TornadoExecutionPlan _ = plan.withStagedTransfers();
        counters.recorded(graphs.size(), System.nanoTime() - start);
        prepareTouching();
        execute(INIT);
        try {
            checkArrived();
        } catch (DeviceException e) {
            close();
            throw e;
        }
    }

    /** Where tables begin: behind the slots. */
    private int tables() {
        return slots.size() * Call.SLOT;
    }

    /** Where the slots of {@link TouchKernels} begin: behind the tables. */
    private int touches() {
        return tables() + TABLE_INTS;
    }

    /** Which of the activations counts a task. */
    private int counter(String task) {
        return sizes.act() + slot(task) / Call.SLOT;
    }

    /** The names of a graph's tasks. */
    private static List<String> tasks(Segment.Key key) {
        Map<Kernel, Integer> seen = new EnumMap<>(Kernel.class);
        return key.calls().stream()
                .map(Call.Shape::kernel)
                .map(kernel -> kernel.taskName() + seen.merge(kernel, 1, Integer::sum))
                .toList();
    }

    private void addStore(@Nullable Store store) {
        if (store != null) {
            stores.add(store);
        }
    }

    private Object[] shared() {
        List<Object> all = new ArrayList<>(List.of(act, step, output, params, halves));
        if (sizes.workspace() > 0) {
            all.add(workspace);
        }
        stores.forEach(store -> all.add(store.array()));
        return all.toArray();
    }

    /** Touches all arrays; each leaves one value among the activations, at which {@link #checkArrived} looks. */
    private TaskGraph touching(TaskGraph graph) {
        List<Object> arrays = sampled();
        for (int from = 0; from < arrays.size(); ) {
            int next = from + 1;
            while (next < arrays.size() && next < from + 4 && arrays.get(next) instanceof VectorFloat16) {
                next++;
            }
            Kernel kernel = switch (arrays.get(from)) {
                case FloatArray _ -> Kernel.TOUCH;
                case ShortArray _ -> Kernel.TOUCH_SHORTS;
                default -> next == from + 4 ? Kernel.TOUCH_FOUR : Kernel.TOUCH_VECTORS;
            };
            List<Object> some = arrays.subList(from, from + (kernel == Kernel.TOUCH_FOUR ? 4 : 1));
            kernel.addTo(graph, task(graph, "touch" + from, 1), context, step, touches() + 2 * from, arrays(some));
            from += some.size();
        }
        return graph;
    }

    /** All shared arrays but those that kernels write for one another. */
    private List<Object> sampled() {
        Object[] all = shared();
        return Arrays.asList(all).subList(3, all.length);
    }

    /** Says where each touch looks and where it leaves what it has seen, and where the download takes all of that. */
    private void prepareTouching() {
        List<Object> arrays = sampled();
        int seen = sizes.act() + launches.tasks();
        for (int i = 0; i < arrays.size(); i++) {
            step.set(touches() + 2 * i, sampleOf(arrays.get(i)));
            step.set(touches() + 2 * i + 1, seen + i);
        }
        int check = touches() + 2 * arrays.size();
        step.set(check, arrays.size());
        step.set(check + 1, seen);
    }

    /** Where an array has a value that a device's memory does not have by chance. */
    private static int sampleOf(Object array) {
        int length = Math.min(4096, length(array));
        for (int i = 0; i < length; i++) {
            if (valueOf(array, i) != 0) {
                return i;
            }
        }
        return 0;
    }

    private static int length(Object array) {
        return switch (array) {
            case FloatArray floats -> floats.getSize();
            case ShortArray shorts -> shorts.getSize();
            default -> ((VectorFloat16) array).getArray().getSize();
        };
    }

    /** As a touch leaves it. */
    private static float valueOf(Object array, int index) {
        return switch (array) {
            case FloatArray floats -> floats.get(index);
            case ShortArray shorts -> shorts.get(index);
            default -> ((VectorFloat16) array).getArray().get(index);
        };
    }

    /** Sees that every array has arrived on the device: TornadoVM's native code only prints what fails. */
    private void checkArrived() {
        List<Object> arrays = sampled();
        for (int i = 0; i < arrays.size(); i++) {
            if (output.get(i) != valueOf(arrays.get(i), sampleOf(arrays.get(i)))) {
                throw target.lost(i + 1, arrays.size());
            }
        }
    }

    private ImmutableTaskGraph initGraph() {
        TaskGraph graph = new TaskGraph("init").transferToDevice(DataTransferMode.FIRST_EXECUTION, shared());
        touching(graph);
        int samples = sampled().size();
        String id = task(graph, "samples", samples);
        Kernel.DOWNLOAD.addTo(graph, id, context, step, touches() + 2 * samples, arrays(List.of()));
        return graph.persistOnDevice(shared())
                .transferToHost(DataTransferMode.EVERY_EXECUTION, output)
                .snapshot();
    }

    private ImmutableTaskGraph pullGraph() {
        List<Object> mutable = new ArrayList<>(List.of(act, halves));
        stores.stream().filter(store -> store.use() != Store.Use.WEIGHTS).forEach(store -> mutable.add(store.array()));
        TaskGraph graph = new TaskGraph("pull").consumeFromDevice("init", shared());
        return touching(graph)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, mutable.toArray())
                .snapshot();
    }

    /** Sends what a batch needs. The graphs that follow take over these two arrays from it, as they do all others from the one before. */
    private ImmutableTaskGraph sendGraph() {
        TaskGraph graph = new TaskGraph("send").consumeFromDevice("init", shared());
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, queue.ints(), input);
        Kernel.BEGIN.addTo(graph, task(graph, BEGIN, 1), context, step, 0, arrays(List.of()));
        return graph.persistOnDevice(queue.ints(), input).snapshot();
    }

    private ImmutableTaskGraph fetchGraph() {
        TaskGraph graph = new TaskGraph("fetch").consumeFromDevice("init", resident());
        String id = task(graph, Kernel.CONFIRM.taskName(), DeviceTarget.ELEMENT_ITEMS);
        Kernel.CONFIRM.addTo(graph, id, context, step, 0, arrays(List.of()));
        return graph.transferToHost(DataTransferMode.EVERY_EXECUTION, output).snapshot();
    }

    /** What is on the device while a batch runs. */
    private Object[] resident() {
        List<Object> all = new ArrayList<>(Arrays.asList(shared()));
        all.add(queue.ints());
        all.add(input);
        return all.toArray();
    }

    private ImmutableTaskGraph graph(Segment.Key key) {
        TaskGraph graph = new TaskGraph(SEGMENTS).consumeFromDevice("init", resident());
        Kernel.FEED.addTo(graph, task(graph, FEED, target.rowItems()), context, step, tables(), arrays(List.of()));
        List<String> tasks = tasks(key);
        for (int i = 0; i < key.calls().size(); i++) {
            Call.Shape call = key.calls().get(i);
            String id = tasks.get(i);
            if (!call.kernel().isLibrary()) {
                String _ = task(graph, id, 1);
            }
            Kernel.Arrays bound = arrays(call.first(), call.second());
            call.kernel().addTo(graph, id, context, step, slot(id), bound);
        }
        return graph.snapshot();
    }

    /** Registers a grid of one group for a task, if it has none; {@link #run} sets its size. */
    private String task(TaskGraph graph, String id, int items) {
        String name = graph.getTaskGraphName() + "." + id;
        WorkerGrid1D grid = grids.computeIfAbsent(name, fresh -> new WorkerGrid1D(items));
        grid.setLocalWork(items, 1, 1);
        scheduler.addWorkerGrid(name, grid);
        return id;
    }

    /** The name of a task with this counter. */
    private String task(int counter) {
        return slots.entrySet().stream()
                .filter(entry -> entry.getValue() == counter * Call.SLOT)
                .map(Map.Entry::getKey)
                .findFirst()
                .orElseThrow();
    }

    private int slot(String task) {
        return Objects.requireNonNull(slots.get(task));
    }

    private Kernel.Arrays arrays(@Nullable Store first, @Nullable Store second) {
        List<Object> bound = new ArrayList<>();
        if (first != null) {
            bound.add(first.array());
        }
        if (second != null) {
            bound.add(second.array());
        }
        return arrays(bound);
    }

    private Kernel.Arrays arrays(List<Object> stores) {
        return new Kernel.Arrays(act, params, input, output, queue.ints(), halves, workspace, stores);
    }

    /** Whether everything a segment needs is as large here as it has to be by now. */
    boolean fits(Sizes needed) {
        return sizes.hold(needed) && stores.stream().noneMatch(Store::changed);
    }

    Sizes sizes() {
        return sizes;
    }

    Set<Segment.Key> keys() {
        return graphs.keySet();
    }

    /** Whether it has room for what goes up and comes down with one batch. */
    Batch.Needs room() {
        return sizes.batch();
    }

    /** Runs a batch and hands over what its segments deliver. */
    void run(Batch batch) {
        int number = launches.next();
        input.set(0, number);
        launches.expect(slot(BEGIN) / Call.SLOT, number);
        tickets = tickets % MOST_TICKETS + 1;
        queue.clear();
        queue.set(StepQueue.TICKET, tickets);
        Map<Integer, Segment> numbered = new HashMap<>();
        int up = 1;
        int down = 0;
        for (Segment segment : batch.segments()) {
            int execution = launches.next();
            numbered.put(execution, segment);
            queue(segment, execution, up, down);
            for (float[] values : segment.uploads()) {
                MemorySegment.copy(values, 0, input.getSegment(), ValueLayout.JAVA_FLOAT, 4L * up, values.length);
                up += values.length;
            }
            down += segment.downloadFloats();
        }
        queue.set(StepQueue.TAIL, down);
        execute(SEND);
        batch.segments().forEach(this::launch);
        execute(FETCH);
        counters.launched(2);
        // The SDK's native code only prints what goes wrong on a device, and the array keeps its values.
        String last = batch.segments().getLast().layer();
        if (output.get(down) != tickets) {
            throw target.fault(last);
        }
        int skipped = launches.firstWrong(output, down + 2);
        if (skipped >= 0) {
            Segment in = numbered.get(launches.missing(skipped, output.get(down + 2 + skipped)));
            throw target.skipped(task(skipped), in == null ? last : in.layer());
        }
        watcher.accept(output.get(down + 1));
        int from = 0;
        for (Segment segment : batch.segments()) {
            float[] values = new float[segment.downloadFloats()];
            MemorySegment.copy(output.getSegment(), ValueLayout.JAVA_FLOAT, 4L * from, values, 0, values.length);
            from += values.length;
            segment.receiver().accept(values);
        }
    }

    /** Puts the slots and tables of a segment in the queue, and expects its kernels to be counted. */
    private void queue(Segment segment, int number, int up, int down) {
        List<int[]> tables = segment.tables();
        IdentityHashMap<int[], Integer> places = places(tables);
        List<Integer> to = new ArrayList<>();
        int[] all = new int[segment.calls().size() * Call.SLOT];
        List<String> tasks = tasks(segment.key());
        for (int i = 0; i < segment.calls().size(); i++) {
            Call call = segment.calls().get(i);
            String task = tasks.get(i);
            int at = i * Call.SLOT;
            to.add(slot(task));
            System.arraycopy(call.arguments(), 0, all, at, call.arguments().length);
            for (Call.Table table : call.tables()) {
                all[at + table.argument()] = place(places, table);
            }
            if (call.kernel() == Kernel.UPLOAD) {
                all[at + ElementKernels.FROM] = up;
            } else if (call.kernel() == Kernel.DOWNLOAD) {
                all[at + ElementKernels.TO] = down;
            }
            if (!call.kernel().isLibrary()) {
                all[at + Launches.COUNTER] = counter(task);
                all[at + Launches.NUMBER] = number;
                launches.expect(slot(task) / Call.SLOT, number);
            }
        }
        launches.expect(slot(FEED) / Call.SLOT, number);
        queue.add(counter(FEED), number, to, all, tables);
    }

    /** Where each table of a segment is, on the device. */
    private IdentityHashMap<int[], Integer> places(List<int[]> tables) {
        IdentityHashMap<int[], Integer> places = new IdentityHashMap<>();
        int end = tables();
        for (int[] table : tables) {
            places.put(table, end);
            end += table.length;
        }
        if (end - tables() > TABLE_INTS) {
            throw WanException.mismatch(
                    "one graph",
                    "at most " + TABLE_INTS + " numbers of pages and heads",
                    end - tables(),
                    MemoryPlan.smaller());
        }
        return places;
    }

    private static int place(IdentityHashMap<int[], Integer> places, Call.Table table) {
        return Objects.requireNonNull(places.get(table.values()));
    }

    private void launch(Segment segment) {
        Integer graph = graphs.get(segment.key());
        if (graph == null) {
            throw new IllegalStateException("no graph for " + segment.key());
        }
        List<String> tasks = tasks(segment.key());
        IdentityHashMap<int[], Integer> places = places(segment.tables());
        for (int i = 0; i < segment.calls().size(); i++) {
            Call call = segment.calls().get(i);
            if (call.kernel().isLibrary()) {
                int slot = slot(tasks.get(i));
                for (int j = 0; j < call.arguments().length; j++) {
                    step.set(slot + j, call.arguments()[j]);
                }
                call.tables().forEach(table -> step.set(slot + table.argument(), place(places, table)));
                continue;
            }
            WorkerGrid1D grid = grids.get(SEGMENTS + "." + tasks.get(i));
            if (grid == null) {
                throw new IllegalStateException("no grid for call " + i + " of graph " + graph);
            }
            grid.setGlobalWork((long) call.groups() * call.groupItems(), 1, 1);
            grid.setLocalWork(call.groupItems(), 1, 1);
        }
        try {
            execute(graph);
        } catch (LibraryException e) {
            throw target.refused(e, segment.layer());
        }
        counters.launched(1 + segment.calls().size());
    }

    private void execute(int graph) {
        long start = System.nanoTime();
        var _ = plan.withGraph(graph).execute();
        counters.executed(compiled.add(graph), System.nanoTime() - start);
    }

    /** Activations, for the program that follows. */
    record Kept(MemorySegment act, MemorySegment halves) {}

    private static void copy(MemorySegment from, MemorySegment to) {
        to.asSlice(0, from.byteSize()).copyFrom(from);
    }

    /** Fetches what kernels have written, for the program that follows. */
    Kept pull() {
        execute(PULL);
        return new Kept(
                act.getSegment().asSlice(0, 4L * sizes.act()),
                halves.getSegment().asSlice(0, 2L * sizes.halves()));
    }

    @Override
    public void close() {
        // Each array is freed by the graph that has put it there, once: a second time is an error.
        if (compiled.contains(SEND)) {
            TornadoExecutionPlan _ = plan.withGraph(SEND).freeDeviceMemory();
        }
        TornadoExecutionPlan _ = plan.withGraph(INIT);
        try {
            plan.close();
        } catch (TornadoExecutionPlanException e) {
            throw new IllegalStateException(e);
        }
    }
}
