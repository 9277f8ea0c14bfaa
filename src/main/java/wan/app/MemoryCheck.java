package wan.app;

import wan.op.WanException;
import wan.sampling.RunCost;
import wan.sampling.RunPlan;

/** Refuses a run that cannot fit before it starts, rather than after an hour. */
final class MemoryCheck {
    private MemoryCheck() {}

    /**
     * Compares what the run keeps in the heap with what the heap may grow to.
     *
     * @throws WanException with the numbers, if it does not fit
     */
    static void require(RunCost cost, RunPlan plan) {
        long cache = cost.cacheBytes(plan);
        long activations = cost.activationBytes(plan);
        long heap = Runtime.getRuntime().maxMemory();
        if (cache + activations > heap) {
            throw new WanException("memory: expected " + bytes(cache) + " for the KV cache and " + bytes(activations)
                    + " for activations, got a heap of at most " + bytes(heap)
                    + "; use fewer frames, a smaller frame, --local-attn-size, or --heap");
        }
    }

    /** Bytes as people read them: 1.5 GiB. */
    static String bytes(long bytes) {
        String[] units = {"bytes", "KiB", "MiB", "GiB", "TiB"};
        int unit = 0;
        double value = (double) bytes;
        while (value >= 1024 && unit < units.length - 1) {
            value /= 1024;
            unit++;
        }
        return String.format(java.util.Locale.ROOT, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    }
}
