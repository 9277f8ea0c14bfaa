package wan.jvm.onednn;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.ConcurrentLinkedQueue;

/** Copying from one layout and type to another on the calling thread: made once, and used by any number of threads. */
final class OneDnnReorder {
    private static final int[] ROLES = {1, 17}; // DNNL_ARG_FROM, TO

    private final OneDnnPrimitive primitive;
    /** What no thread is using at the moment: at most as many as there are threads. */
    private final ConcurrentLinkedQueue<OneDnnPrimitive.Binding> idle = new ConcurrentLinkedQueue<>();

    OneDnnReorder(OneDnnObjects objects, MemorySegment fromMatrix, MemorySegment toMatrix) {
        MemorySegment description = objects.reorder(fromMatrix, toMatrix);
        primitive = new OneDnnPrimitive(objects, description, ROLES, new MemorySegment[] {fromMatrix, toMatrix});
    }

    /** Copies. Both segments are native and begin where the matrices do. */
    void run(MemorySegment from, MemorySegment to) {
        OneDnnPrimitive.Binding binding = idle.poll();
        if (binding == null) {
            binding = primitive.new Binding();
        }
        try {
            binding.run(from, to);
        } finally {
            idle.add(binding);
        }
    }
}
