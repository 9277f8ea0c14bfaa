package wan.jvm.onednn;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Arrays;

/** A primitive of oneDNN and the matrices that it works on. Made once, and used by any number of threads, each with a binding of its own. */
final class OneDnnPrimitive {
    private static final int SCRATCHPAD = 80; // DNNL_ARG_SCRATCHPAD

    private final OneDnnObjects objects;
    private final MemorySegment primitive;
    private final int[] roles;
    /** Matrices in the order of {@link #roles}; the scratchpad is the last. */
    private final MemorySegment[] matrices;

    private final MethodHandle execute;
    private final MethodHandle setHandle;

    /**
     * Makes it.
     *
     * @param roles what each matrix is, as {@code DNNL_ARG_} numbers it
     */
    OneDnnPrimitive(OneDnnObjects objects, MemorySegment description, int[] roles, MemorySegment[] matrices) {
        this.objects = objects;
        primitive = objects.primitive(description);
        this.roles = Arrays.copyOf(roles, roles.length + 1);
        this.roles[roles.length] = SCRATCHPAD;
        this.matrices = Arrays.copyOf(matrices, matrices.length + 1);
        this.matrices[matrices.length] = objects.scratchpad(description);
        execute = objects.library().function("dnnl_primitive_execute");
        setHandle = objects.library().function("dnnl_memory_set_data_handle");
    }

    /** What one thread hands to the primitive: the pointers change, the objects stay. */
    final class Binding {
        private final MemorySegment stream = objects.stream();
        private final MemorySegment[] memories = new MemorySegment[matrices.length];
        private final MemorySegment arguments;

        Binding() {
            int last = memories.length - 1;
            for (int i = 0; i <= last; i++) {
                memories[i] =
                        objects.memory(matrices[i], i == last ? objects.allocate(matrices[i]) : MemorySegment.NULL);
            }
            arguments = objects.arguments(roles, memories);
        }

        /** Computes on the calling thread. The data is native and begins where the matrices do, in their order. */
        void run(MemorySegment... data) {
            int before = objects.library().useThisThreadOnly();
            try {
                for (int i = 0; i < data.length; i++) {
                    int status = (int) setHandle.invokeExact(memories[i], data[i]);
                    OneDnnLibrary.checkStatus("dnnl_memory_set_data_handle", status);
                }
                int status = (int) execute.invokeExact(primitive, stream, memories.length, arguments);
                OneDnnLibrary.checkStatus("dnnl_primitive_execute", status);
            } catch (Throwable e) {
                throw OneDnnLibrary.failed("dnnl_primitive_execute", e);
            } finally {
                objects.library().restore(before);
            }
        }
    }
}
