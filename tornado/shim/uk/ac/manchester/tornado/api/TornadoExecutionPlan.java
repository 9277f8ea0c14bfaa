package uk.ac.manchester.tornado.api;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.exceptions.TornadoOutOfMemoryException;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.runtime.TornadoRuntimeProvider;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.collections.VectorFloat16;

/**
 * Graphs that run on one device and share its memory. Here on the JVM, with a copy of every array in the place of device
 * memory, so that a forgotten transfer shows: what was never transferred reads as NaN.
 */
public class TornadoExecutionPlan implements AutoCloseable {
    private final List<ImmutableTaskGraph> graphs;
    private final Map<Object, Object> shared = new IdentityHashMap<>();
    private final EmulatedLibrary libraries = new EmulatedLibrary();
    private final Set<Integer> executed = new HashSet<>();
    private GridScheduler grids = new GridScheduler();
    private int selected;
    private long executions;
    /** What went to the device last, as it is there. */
    private final Map<Object, Object> sent = new IdentityHashMap<>();

    private long launches;
    private long transfers;
    private long fills;
    /** Whether graphs run only when a transfer to the host waits for them, as late as a device may be. */
    private boolean ahead;

    private final List<Runnable> late = new ArrayList<>();

    /** A plan of these graphs. */
    public TornadoExecutionPlan(ImmutableTaskGraph... immutableTaskGraphs) {
        graphs = List.of(immutableTaskGraphs);
    }

    /** A device by its numbers. */
    public static TornadoDevice getDevice(int driverIndex, int deviceIndex) {
        return TornadoRuntimeProvider.getTornadoRuntime()
                .getBackend(driverIndex)
                .getDevice(deviceIndex);
    }

    /** Selects one graph. */
    public TornadoExecutionPlan withGraph(int graphIndex) {
        selected = graphIndex;
        return this;
    }

    /** Runs all graphs on this device. */
    public TornadoExecutionPlan withDevice(TornadoDevice device) {
        return this;
    }

    /** Sets the grids of the tasks. */
    public TornadoExecutionPlan withGridScheduler(GridScheduler gridScheduler) {
        grids = gridScheduler;
        return this;
    }

    /** The real one lets independent tasks overlap, and does not wait for a graph that transfers nothing to the host. */
    public TornadoExecutionPlan withIntraPlanConcurrency() {
        ahead = true;
        return this;
    }

    /** The real one copies large arrays to a CUDA device piece by piece, through pinned memory. */
    public TornadoExecutionPlan withStagedTransfers() {
        return this;
    }

    /** Frees the selected graph's device memory. */
    public TornadoExecutionPlan freeDeviceMemory() {
        return this;
    }

    /** Runs the selected graph. */
    public TornadoExecutionResult execute() {
        int chosen = selected;
        TaskGraph graph = graphs.get(chosen).graph;
        List<Launch> launches =
                graph.tasks.stream().map(task -> launch(graph, task)).toList();
        if (ahead && graph.toHost.isEmpty()) {
            late.add(() -> {
                TornadoExecutionResult _ = execute(chosen, launches);
            });
            return new TornadoExecutionResult(array -> {});
        }
        late.forEach(Runnable::run);
        late.clear();
        return execute(chosen, launches);
    }

    /**
     * What the host says of a task before a device comes to it.
     *
     * @param items of its grid
     * @param groupItems of a group
     * @param library what a library has queued, on the device's arguments; or null
     */
    private record Launch(
            long items, long groupItems, @Nullable Consumer<Object[]> library) {}

    private Launch launch(TaskGraph graph, TaskGraph.Task task) {
        if (task.library() != null) {
            return new Launch(1, 1, libraries.call(task.library(), task.arguments()));
        }
        WorkerGrid grid = grids.get(graph.name + "." + task.name());
        if (grid == null) {
            throw new TornadoRuntimeException("no grid for " + graph.name + "." + task.name());
        }
        long[] local = grid.getLocalWork();
        return new Launch(grid.getGlobalWork()[0], local == null ? 1 : local[0], null);
    }

    private TornadoExecutionResult execute(int chosen, List<Launch> queued) {
        if (++executions > Emulator.lifetime()) {
            return new TornadoExecutionResult(array -> {});
        }
        TaskGraph graph = graphs.get(chosen).graph;
        Map<Object, Object> device = new IdentityHashMap<>();
        for (Object array : graph.consumed) {
            Object there = shared.get(array);
            if (there == null) {
                throw new TornadoRuntimeException(
                        "graph " + graph.name + " consumes what no graph has left on the device");
            }
            device.put(array, there);
        }
        boolean first = executed.add(chosen);
        for (TaskGraph.Transfer transfer : graph.toDevice) {
            for (Object array : transfer.arrays()) {
                Object there = device.computeIfAbsent(array, TornadoExecutionPlan::blank);
                boolean again = transfer.mode() == DataTransferMode.EVERY_EXECUTION;
                // One transfer may fail alone, and one launch below: TornadoVM's native code prints that and goes on.
                if (again && Emulator.passesFor("drops-" + ++transfers)) {
                    copy(sent.getOrDefault(array, there), there);
                } else if (first || again) {
                    if (!again && Emulator.passesFor("loses-" + ++fills)) {
                        continue;
                    }
                    copy(array, there);
                    sent.put(array, there);
                }
            }
        }
        for (int i = 0; i < queued.size(); i++) {
            run(graph.tasks.get(i), queued.get(i), device);
        }
        for (Object array : graph.persisted) {
            shared.put(array, device.get(array));
        }
        for (TaskGraph.Transfer transfer : graph.toHost) {
            if (transfer.mode() != DataTransferMode.UNDER_DEMAND) {
                transfer.arrays().forEach(array -> copy(device.get(array), array));
            }
        }
        return new TornadoExecutionResult(array -> copy(device.get(array), array));
    }

    private void run(TaskGraph.Task task, Launch launch, Map<Object, Object> device) {
        Object[] arguments = task.arguments().clone();
        int context = -1;
        for (int i = 0; i < arguments.length; i++) {
            if (arguments[i] instanceof KernelContext) {
                context = i;
            } else if (!(arguments[i] instanceof Number || arguments[i] instanceof Boolean)) {
                arguments[i] = device.computeIfAbsent(arguments[i], TornadoExecutionPlan::blank);
            }
        }
        if (Emulator.passesFor("skips-" + ++launches)) {
            return;
        }
        if (launch.library() != null) {
            launch.library().accept(arguments);
            return;
        }
        int at = context;
        Emulator.run(
                task.name(),
                item -> {
                    Object[] mine = arguments.clone();
                    mine[at] = item;
                    task.code().accept(mine);
                },
                Math.toIntExact(launch.items()),
                Math.toIntExact(launch.groupItems()));
    }

    /** Device memory for an array; floats, of 16 bits too, read as NaN until they are written. */
    private static Object blank(Object array) {
        if (Emulator.passesFor("full")) {
            throw new TornadoOutOfMemoryException(
                    "no room for an array of " + segment(array).byteSize() + " bytes");
        }
        return switch (array) {
            case FloatArray floats -> blank(floats);
            case VectorFloat16 vectors -> new VectorFloat16(blank(vectors.getArray()));
            case IntArray ints -> new IntArray(ints.getSize());
            case ShortArray shorts -> {
                ShortArray fresh = new ShortArray(shorts.getSize());
                fresh.init(Short.MAX_VALUE);
                yield fresh;
            }
            default -> throw new TornadoRuntimeException("no device copy of " + array.getClass());
        };
    }

    private static FloatArray blank(FloatArray floats) {
        FloatArray fresh = new FloatArray(floats.getSize());
        fresh.init(Float.NaN);
        return fresh;
    }

    private static void copy(Object from, Object to) {
        segment(to).copyFrom(segment(from));
    }

    private static MemorySegment segment(Object array) {
        return switch (array) {
            case FloatArray floats -> floats.getSegment();
            case VectorFloat16 vectors -> vectors.getArray().getSegment();
            case IntArray ints -> ints.getSegment();
            case ShortArray shorts -> shorts.getSegment();
            default -> throw new TornadoRuntimeException("no transfer of " + array.getClass());
        };
    }

    @Override
    public void close() throws TornadoExecutionPlanException {
        shared.clear();
        libraries.close();
    }
}
