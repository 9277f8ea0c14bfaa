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
import wan.op.DType;
import wan.op.DeviceException;
import wan.op.WanException;

/**
 * One execution plan with a task graph for every kind of segment. The only class that says what stays on the device.
 *
 * <p>Graph 0 puts every shared array there, graph 1 fetches those that kernels write, the others follow the keys. Every graph consumes
 * all shared arrays, used there or not: a graph that consumes only some breaks the next one (TornadoVM 5.2.0). Slots, tables and
 * inputs are transferred with each execution, so nothing is ever compiled twice.
 */
final class Program implements AutoCloseable {
    private static final int TABLE_INTS = 8192;
    /** They come back as floats. */
    private static final int MOST_TICKETS = 1 << 24;

    private static final int INIT = 0;
    private static final int PULL = 1;

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
     * @param input floats that go up with one segment
     * @param output floats that come down with one segment
     * @param libraryRows the most rows of each call of a library, by {@link LibraryCall#largest}
     */
    record Sizes(int act, int params, int input, int output, Map<LibraryCall, Integer> libraryRows) {
        /** Whether all that {@code other} needs fits into these. */
        boolean hold(Sizes other) {
            return other.act <= act
                    && other.params <= params
                    && other.input <= input
                    && other.output <= output
                    && other.libraryRows.entrySet().stream()
                            .allMatch(call -> call.getValue() <= libraryRows.getOrDefault(call.getKey(), 0));
        }

        /** The larger of each. */
        Sizes max(Sizes other) {
            Map<LibraryCall, Integer> rows = new HashMap<>(libraryRows);
            other.libraryRows.forEach((call, most) -> rows.merge(call, most, Math::max));
            return new Sizes(
                    Math.max(act, other.act),
                    Math.max(params, other.params),
                    Math.max(input, other.input),
                    Math.max(output, other.output),
                    rows);
        }
    }

    private final KernelContext context = new KernelContext();
    private final IntArray step;
    /** Where the slot of a task is, by its name: a slot's place is part of what is compiled. */
    private final Map<String, Integer> slots = new HashMap<>();

    private final FloatArray act;
    private final FloatArray params;
    private final FloatArray input;
    private final FloatArray output;
    private final DeviceTarget target;
    private final Sizes sizes;
    private final DType factors;
    private final LibraryArrays operands;
    private final Launches launches;
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
     * @param factors the type of what linear layers of a library multiply
     * @param kept activations of the program before this one, if any
     */
    Program(
            DeviceTarget target,
            Sizes sizes,
            float[] parameters,
            Collection<Segment.Key> keys,
            DType factors,
            @Nullable MemorySegment kept,
            Counters counters) {
        this.target = target;
        this.counters = counters;
        this.sizes = sizes;
        this.factors = factors;
        long start = System.nanoTime();
        for (Segment.Key key : keys) {
            for (String task : tasks(key)) {
                slots.putIfAbsent(task, slots.size() * Call.SLOT);
            }
        }
        launches = new Launches(slots.size());
        operands = new LibraryArrays(sizes.libraryRows(), factors);
        for (Segment.Key key : keys) {
            for (Call.Shape call : key.calls()) {
                addStore(call.first());
                addStore(call.second());
            }
        }
        int samples = 1 + operands.all().size() + stores.size(); // of what is shared, but for the activations
        act = new FloatArray(sizes.act() + launches.tasks() + samples);
        act.init(0);
        if (kept != null) {
            act.getSegment().asSlice(0, kept.byteSize()).copyFrom(kept);
        }
        params = new FloatArray(parameters.length);
        MemorySegment.copy(parameters, 0, params.getSegment(), ValueLayout.JAVA_FLOAT, 0, parameters.length);
        input = new FloatArray(sizes.input() + 1); // and the number of the execution
        output = new FloatArray(Math.max(samples, sizes.output()) + 1 + launches.tasks());
        step = new IntArray(tables() + TABLE_INTS);
        List<ImmutableTaskGraph> recorded = new ArrayList<>();
        recorded.add(initGraph());
        recorded.add(pullGraph());
        for (Segment.Key key : keys) {
            graphs.put(key, recorded.size());
            recorded.add(graph(key));
        }
        plan = new TornadoExecutionPlan(recorded.toArray(new ImmutableTaskGraph[0]));
        TornadoExecutionPlan _ = plan.withDevice(target.device());
        TornadoExecutionPlan _ = plan.withGridScheduler(scheduler);
        counters.recorded(graphs.size(), System.nanoTime() - start);
        prepareTouching();
        int check = tables() + 2 * samples;
        step.set(check, samples);
        step.set(check + 1, sizes.act() + launches.tasks());
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
        List<Object> all = new ArrayList<>(List.of(act, params));
        all.addAll(operands.all());
        stores.forEach(store -> all.add(store.array()));
        return all.toArray();
    }

    /** Touches all arrays; each leaves one value among the activations, at which {@link #checkArrived} looks. */
    private TaskGraph touching(TaskGraph graph) {
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, step);
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
            Kernel.Arrays bound = new Kernel.Arrays(act, params, input, output, some, null);
            kernel.addTo(graph, task(graph, "touch" + from, 1), context, step, tables() + 2 * from, bound);
            from += some.size();
        }
        return graph;
    }

    /** All shared arrays but the activations. */
    private List<Object> sampled() {
        Object[] all = shared();
        return Arrays.asList(all).subList(1, all.length);
    }

    /** Says where each touch looks and where it leaves what it has seen. */
    private void prepareTouching() {
        step.set(0, 0);
        List<Object> arrays = sampled();
        for (int i = 0; i < arrays.size(); i++) {
            step.set(tables() + 2 * i, sampleOf(arrays.get(i)));
            step.set(tables() + 2 * i + 1, sizes.act() + launches.tasks() + i);
        }
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
        Kernel.Arrays bound = new Kernel.Arrays(act, params, input, output, List.of(), null);
        int samples = sampled().size();
        Kernel.DOWNLOAD.addTo(graph, task(graph, "samples", samples), context, step, tables() + 2 * samples, bound);
        return graph.persistOnDevice(shared())
                .transferToHost(DataTransferMode.EVERY_EXECUTION, output)
                .snapshot();
    }

    private ImmutableTaskGraph pullGraph() {
        List<Object> mutable = new ArrayList<>(List.of(act));
        stores.stream().filter(store -> store.use() != Store.Use.WEIGHTS).forEach(store -> mutable.add(store.array()));
        TaskGraph graph = new TaskGraph("pull").consumeFromDevice("init", shared());
        return touching(graph)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, mutable.toArray())
                .snapshot();
    }

    private ImmutableTaskGraph graph(Segment.Key key) {
        TaskGraph graph = new TaskGraph(SEGMENTS).consumeFromDevice("init", shared());
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, step);
        boolean uploads = key.calls().stream().anyMatch(call -> call.kernel() == Kernel.UPLOAD);
        if (uploads) {
            graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, input);
        }
        boolean downloads = false;
        List<String> tasks = tasks(key);
        for (int i = 0; i < key.calls().size(); i++) {
            Call.Shape call = key.calls().get(i);
            downloads |= call.kernel() == Kernel.DOWNLOAD;
            String id = tasks.get(i);
            if (!call.kernel().isLibrary()) {
                String _ = task(graph, id, 1);
            }
            Kernel.Arrays bound = arrays(call.first(), call.second(), operands(call.library()));
            call.kernel().addTo(graph, id, context, step, slot(id), bound);
        }
        if (downloads) {
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, output);
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

    private @Nullable LibraryOperands operands(@Nullable LibraryCall call) {
        if (call == null) {
            return null;
        }
        List<Object> arrays = operands.of(call.library());
        int rows = recordedRows(call);
        return switch (call) {
            case LibraryCall.Gemm gemm -> new GemmOperands(arrays, factors, rows, gemm.in(), gemm.out());
            case LibraryCall.Sdpa sdpa -> new SdpaOperands(arrays, rows, sdpa);
        };
    }

    private int recordedRows(LibraryCall call) {
        return sizes.libraryRows().getOrDefault(call.largest(), 0);
    }

    private Kernel.Arrays arrays(@Nullable Store first, @Nullable Store second, @Nullable LibraryOperands library) {
        List<Object> bound = new ArrayList<>();
        if (first != null) {
            bound.add(first.array());
        }
        if (second != null) {
            bound.add(second.array());
        }
        return new Kernel.Arrays(act, params, input, output, bound, library);
    }

    boolean knows(Segment.Key key) {
        return graphs.containsKey(key);
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

    /** Runs a segment and hands over what it delivers. */
    void run(Segment segment) {
        Integer graph = graphs.get(segment.key());
        if (graph == null) {
            throw new IllegalStateException("no graph for " + segment.key());
        }
        IdentityHashMap<int[], Integer> tables = new IdentityHashMap<>(); // calls share them
        int number = launches.next();
        int end = tables();
        int slot = 0;
        List<String> tasks = tasks(segment.key());
        for (int i = 0; i < segment.calls().size(); i++) {
            Call call = segment.calls().get(i);
            slot = slot(tasks.get(i));
            for (int j = 0; j < call.arguments().length; j++) {
                step.set(slot + j, call.arguments()[j]);
            }
            for (Call.Table values : call.tables()) {
                Integer table = tables.putIfAbsent(values.values(), end);
                if (table == null) {
                    table = end;
                    end = append(end, values.values());
                }
                step.set(slot + values.argument(), table);
            }
            LibraryCall library = call.library();
            if (library instanceof LibraryCall.Sdpa) {
                step.set(slot + SdpaKernels.RECORDED_ROWS, recordedRows(library));
            }
            if (call.kernel().isLibrary()) {
                continue;
            }
            step.set(slot + Launches.COUNTER, sizes.act() + slot / Call.SLOT);
            step.set(slot + Launches.NUMBER, number);
            if (call.kernel() != Kernel.DOWNLOAD) { // which brings the counters
                launches.expect(slot / Call.SLOT);
            }
            WorkerGrid1D grid = grids.get(SEGMENTS + "." + tasks.get(i));
            if (grid == null) {
                throw new IllegalStateException("no grid for call " + i + " of graph " + graph);
            }
            grid.setGlobalWork((long) call.groups() * call.groupItems(), 1, 1);
            grid.setLocalWork(call.groupItems(), 1, 1);
        }
        int to = 0;
        for (float[] values : segment.uploads()) {
            MemorySegment.copy(values, 0, input.getSegment(), ValueLayout.JAVA_FLOAT, 4L * to, values.length);
            to += values.length;
        }
        input.set(to, number);
        int count = segment.downloadFloats();
        if (count > 0) {
            tickets = tickets % MOST_TICKETS + 1;
            step.set(slot + ElementKernels.TICKET, tickets); // a download ends its segment
            step.set(slot + ElementKernels.TICKET + 1, launches.tasks());
            step.set(slot + ElementKernels.TICKET + 2, sizes.act());
        }
        execute(graph);
        counters.launched(segment.calls().size());
        if (count > 0) {
            // The SDK's native code only prints what goes wrong on a device, and the array keeps its values.
            if (output.get(count) != tickets) {
                throw target.fault(segment.layer());
            }
            int skipped = launches.firstWrong(output, count + 1);
            if (skipped >= 0) {
                throw target.skipped(task(skipped), segment.layer());
            }
            float[] values = new float[count];
            MemorySegment.copy(output.getSegment(), ValueLayout.JAVA_FLOAT, 0, values, 0, values.length);
            segment.receiver().accept(values);
        }
    }

    private int append(int at, int[] values) {
        if (at + values.length > step.getSize()) {
            throw WanException.mismatch(
                    "one graph",
                    "at most " + TABLE_INTS + " numbers of pages and heads",
                    at + values.length - (step.getSize() - TABLE_INTS),
                    MemoryPlan.smaller());
        }
        for (int i = 0; i < values.length; i++) {
            step.set(at + i, values[i]);
        }
        return at + values.length;
    }

    private void execute(int graph) {
        long start = System.nanoTime();
        var _ = plan.withGraph(graph).execute();
        counters.executed(compiled.add(graph), System.nanoTime() - start);
    }

    /** Fetches what kernels have written, for the program that follows. Returns the activations. */
    MemorySegment pull() {
        prepareTouching();
        execute(PULL);
        return act.getSegment().asSlice(0, 4L * sizes.act());
    }

    @Override
    public void close() {
        for (int graph : compiled) {
            if (graph != INIT && graph != PULL) {
                TornadoExecutionPlan _ = plan.withGraph(graph).freeDeviceMemory();
            }
        }
        // Freeing graph 1 would free the shared arrays a second time; close() frees the selected graph only.
        TornadoExecutionPlan _ = plan.withGraph(INIT);
        try {
            plan.close();
        } catch (TornadoExecutionPlanException e) {
            throw new IllegalStateException(e);
        }
    }
}
