package wan.cache;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import wan.op.WanException;

/**
 * The arithmetic of the self-attention cache: sliding window, sink, eviction. Pure integers, in frames; no keys are touched.
 *
 * <p>It gives exactly the slots that the reference's {@code CausalWanSelfAttention.forward} gives, but where the reference
 * moves keys to close the gap of an eviction, this moves page numbers: slot i of the reference is page {@code pages[i]} here.
 */
public final class KvCursor {
    private final boolean windowed;
    private final int sinkFrames;
    /** Slot to page; always a permutation of all pages. */
    private final List<Integer> pages = new ArrayList<>();
    /** Slot to absolute frame. */
    private final List<Integer> slotFrames = new ArrayList<>();
    /** Slot to the pass that wrote it. */
    private final List<String> slotWriters = new ArrayList<>();

    private int localEnd;
    private int globalEnd;

    /**
     * An empty cache.
     *
     * @param capacityFrames slots: the window where there is one, else at least all frames of the run
     * @param windowed whether a full cache evicts
     * @param sinkFrames first frames that are never evicted; without a window nothing is
     */
    public KvCursor(int capacityFrames, boolean windowed, int sinkFrames) {
        this.windowed = windowed;
        this.sinkFrames = sinkFrames;
        for (int i = 0; i < capacityFrames; i++) {
            pages.add(i);
            slotFrames.add(Placement.EMPTY);
            slotWriters.add("");
        }
    }

    /**
     * Advances to a pass. The first pass of a frame block may evict; later ones overwrite the frame block's own slots.
     *
     * @param pass its name
     * @param firstFrame absolute number of the pass's first frame
     * @param frames frames of the pass
     * @throws WanException if they do not fit
     */
    public Placement place(String pass, int firstFrame, int frames) {
        int end = firstFrame + frames;
        int capacity = pages.size();
        int evicted = 0;
        if (windowed && end > globalEnd && localEnd + frames > capacity) {
            evicted = localEnd + frames - capacity;
            if (localEnd - evicted > sinkFrames) {
                // Closes the gap behind the sink; the evicted pages come last and are written next.
                Collections.rotate(pages.subList(sinkFrames, localEnd), -evicted);
                Collections.rotate(slotFrames.subList(sinkFrames, localEnd), -evicted);
                Collections.rotate(slotWriters.subList(sinkFrames, localEnd), -evicted);
            }
        }
        int newLocalEnd = localEnd + (end - globalEnd) - evicted;
        if (newLocalEnd > capacity || newLocalEnd < frames) {
            throw WanException.mismatch(
                    "KV cache", "at most " + capacity + " frames", newLocalEnd, "frames " + firstFrame + " to " + end);
        }
        localEnd = newLocalEnd;
        globalEnd = end;
        for (int i = 0; i < frames; i++) {
            slotFrames.set(localEnd - frames + i, firstFrame + i);
            slotWriters.set(localEnd - frames + i, pass);
        }
        return new Placement(
                pages.subList(localEnd - frames, localEnd),
                pages.subList(0, localEnd),
                List.of(),
                slotFrames.subList(localEnd - frames, localEnd),
                slotFrames.subList(0, localEnd),
                slotFrames.subList(0, localEnd),
                slotWriters.subList(0, localEnd),
                List.of(),
                evicted);
    }
}
