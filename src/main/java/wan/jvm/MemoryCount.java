package wan.jvm;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import wan.backend.HostMemory;
import wan.jvm.kernel.HostBytes;
import wan.jvm.kernel.JvmLinear;
import wan.jvm.kernel.Kernels;
import wan.jvm.kernel.PagedKv;

/** What a run would allocate, counted while {@link JvmOps} goes through it without allocating or computing anything. */
final class MemoryCount {
    private final Kernels kernels;
    private final Set<JvmLinear> packed = new HashSet<>();
    /** Per cache: which heads of which pages there are. */
    private final Map<PagedKv, boolean[]> pages = new HashMap<>();

    private long weights;
    private long parameters;
    private HostBytes cache = HostBytes.NONE;
    private HostBytes largestCache = HostBytes.NONE;
    private long activations;
    private long mostActivations;
    private HostBytes linears = HostBytes.NONE;
    private HostBytes attentions = HostBytes.NONE;

    MemoryCount(Kernels kernels) {
        this.kernels = kernels;
    }

    /**
     * An array that is used again and again.
     *
     * @param floats its length; negative where it is let go
     */
    void activation(int floats) {
        activations += (long) Float.BYTES * floats;
        mostActivations = Math.max(mostActivations, activations);
    }

    /** A parameter that is kept as it is. */
    void parameter(long floats) {
        parameters += Float.BYTES * floats;
    }

    void linear(int rows, JvmLinear linear) {
        if (packed.add(linear)) {
            weights += kernels.packedBytes(linear);
        }
        linears = linears.max(kernels.scratch(rows, linear));
    }

    void attention(PagedKv kv, int queries, int pages, int keyGroups) {
        attentions = attentions.max(kernels.scratch(kv, queries, pages, keyGroups));
    }

    void append(PagedKv kv, int page) {
        for (int sample = 0; sample < kv.batch(); sample++) {
            for (int head = 0; head < kv.numHeads(); head++) {
                hold(kv, sample, page, head, true);
            }
        }
        largestCache = largestCache.max(cache);
    }

    void discard(PagedKv kv, int sample, int page, int head) {
        hold(kv, sample, page, head, false);
    }

    private void hold(PagedKv kv, int sample, int page, int head, boolean held) {
        boolean[] all = pages.computeIfAbsent(kv, _ -> new boolean[kv.batch() * kv.pages() * kv.numHeads()]);
        int at = (sample * kv.pages() + page) * kv.numHeads() + head;
        if (all[at] != held) {
            all[at] = held;
            cache = cache.plus(kv.headBytes().times(held ? 1 : -1));
        }
    }

    void release(PagedKv kv) {
        boolean[] all = pages.remove(kv);
        int held = 0;
        for (int i = 0; all != null && i < all.length; i++) {
            held += all[i] ? 1 : 0;
        }
        cache = cache.plus(kv.headBytes().times(-held));
    }

    HostMemory memory() {
        HostBytes scratch = linears.plus(attentions);
        return new HostMemory(
                parameters,
                weights,
                largestCache.heap(),
                largestCache.outside(),
                mostActivations + scratch.heap(),
                scratch.outside());
    }
}
