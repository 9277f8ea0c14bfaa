package wan.run;

import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.management.ManagementFactory;
import wan.backend.Bytes;
import wan.backend.MemoryPlan;
import wan.op.WanException;

/** Refuses a run that cannot fit before it starts, rather than after an hour. */
public final class MemoryCheck {
    private MemoryCheck() {}

    /**
     * Compares what the run keeps in the heap with what the heap may grow to.
     *
     * @param cached bytes of keys and values
     * @param activations bytes of them
     * @param copies bytes of copies of pages and activations
     * @throws WanException with the numbers, if it does not fit
     */
    static void require(long cached, long activations, long copies) {
        long cache = cached + copies;
        long heap = Runtime.getRuntime().maxMemory();
        if (cache + activations > heap) {
            throw new WanException("memory: expected " + Bytes.text(cache) + " for the KV cache"
                    + (copies > 0 ? " and copies of it" : "") + " and " + Bytes.text(activations)
                    + " for activations, got a heap of at most " + Bytes.text(heap)
                    + "; use fewer frames, a smaller frame, cache.local_attn_size, or a larger Java heap");
        }
    }

    /**
     * Compares what a device's arrays need with what the device and this machine have.
     *
     * @throws WanException with the numbers, if it does not fit
     */
    public static void require(MemoryPlan plan) {
        plan.check();
        long limit = directMemory();
        if (plan.bytes() > limit) {
            throw new WanException(
                    "memory: expected " + Bytes.text(plan.bytes()) + " on the host, which keeps a copy"
                            + " of every array of a device (" + plan.parts() + "), got at most " + Bytes.text(limit)
                            + "; use fewer frames, a smaller frame, cache.local_attn_size, or a larger Java heap, which bounds the copies too");
        }
    }

    /** What may lie outside of the heap, copies of device arrays among it: as much as the heap, if no flag says otherwise. */
    private static long directMemory() {
        HotSpotDiagnosticMXBean hotspot = ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
        long flag = Long.parseLong(hotspot.getVMOption("MaxDirectMemorySize").getValue());
        return flag > 0 ? flag : Runtime.getRuntime().maxMemory();
    }
}
