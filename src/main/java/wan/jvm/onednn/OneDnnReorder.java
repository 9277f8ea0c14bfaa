package wan.jvm.onednn;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.concurrent.ConcurrentLinkedQueue;

/** Copying from one layout and type to another on the calling thread: made once, and used by any number of threads. */
final class OneDnnReorder {
    private static final int[] ROLES = {1, 17, 80}; // DNNL_ARG_FROM, TO, SCRATCHPAD

    private final OneDnnObjects objects;
    private final MemorySegment[] matrices;
    private final MemorySegment primitive;
    private final MethodHandle execute;
    private final MethodHandle setHandle;
    /** What no thread is using at the moment: at most as many as there are threads. */
    private final ConcurrentLinkedQueue<Binding> idle = new ConcurrentLinkedQueue<>();

    OneDnnReorder(OneDnnObjects objects, MemorySegment fromMatrix, MemorySegment toMatrix) {
        this.objects = objects;
        MemorySegment description = objects.reorder(fromMatrix, toMatrix);
        matrices = new MemorySegment[] {fromMatrix, toMatrix, objects.scratchpad(description)};
        primitive = objects.primitive(description);
        execute = objects.library().function("dnnl_primitive_execute");
        setHandle = objects.library().function("dnnl_memory_set_data_handle");
    }

    /** What one thread hands to the primitive: the pointers change, the objects stay. */
    private final class Binding {
        final MemorySegment stream = objects.stream();
        final MemorySegment[] memories = {
            objects.memory(matrices[0], MemorySegment.NULL),
            objects.memory(matrices[1], MemorySegment.NULL),
            objects.memory(matrices[2], objects.allocate(matrices[2]))
        };
        final MemorySegment arguments = objects.arguments(ROLES, memories);

        void point(int which, MemorySegment data) throws Throwable {
            int status = (int) setHandle.invokeExact(memories[which], data);
            OneDnnLibrary.checkStatus("dnnl_memory_set_data_handle", status);
        }
    }

    /** Copies. Both segments are native and begin where the matrices do. */
    void run(MemorySegment from, MemorySegment to) {
        Binding binding = idle.poll();
        if (binding == null) {
            binding = new Binding();
        }
        int before = objects.library().useThisThreadOnly();
        try {
            binding.point(0, from);
            binding.point(1, to);
            int status = (int) execute.invokeExact(primitive, binding.stream, ROLES.length, binding.arguments);
            OneDnnLibrary.checkStatus("dnnl_primitive_execute", status);
        } catch (Throwable e) {
            throw OneDnnLibrary.failed("dnnl_primitive_execute", e);
        } finally {
            objects.library().restore(before);
            idle.add(binding);
        }
    }
}
