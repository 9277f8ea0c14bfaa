package wan.run;

import com.sun.management.HotSpotDiagnosticMXBean;
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import wan.backend.Bytes;
import wan.backend.HostMemory;
import wan.backend.MemoryPlan;
import wan.op.WanException;

/** Refuses a run that cannot fit before it starts, rather than after an hour. */
public final class MemoryCheck {
    private MemoryCheck() {}

    /**
     * Compares what a run needs, of this machine or of its device, with what there is.
     *
     * @param copies bytes of copies of pages and activations, in the heap
     * @throws WanException with the numbers, if it does not fit
     */
    static void require(Job job, long copies) {
        HostMemory host = job.hostMemory();
        if (host != null) {
            long kept = job.capturedBytes() + copies;
            long heap = Runtime.getRuntime().maxMemory();
            // Asking for the machine's memory takes as long as a small run, and what fits the heap's limit fits the
            // machine.
            boolean small = host.heap() + kept + host.outside() <= heap;
            host.check(kept, heap, small ? heap : machine());
        }
        MemoryPlan device = job.deviceMemory();
        if (device != null) {
            require(device);
        }
    }

    /** Memory of this machine, or of the container. */
    private static long machine() {
        return ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getTotalMemorySize();
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

    /**
     * The limit of memory outside the heap, which also holds the copies of device arrays: as much as the heap, unless a
     * flag sets it.
     */
    private static long directMemory() {
        HotSpotDiagnosticMXBean hotspot = ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
        long flag = Long.parseLong(hotspot.getVMOption("MaxDirectMemorySize").getValue());
        return flag > 0 ? flag : Runtime.getRuntime().maxMemory();
    }
}
