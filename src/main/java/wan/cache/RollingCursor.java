package wan.cache;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The cache of Rolling Forcing ({@code wan/modules/causal_model.py} of TencentARC/RollingForcing), whose keys are kept unrotated: a pass
 * caches its first frame block only, and the video's first frame block is an anchor that is brought to wherever it is needed. Pure
 * integers, in frames.
 */
public final class RollingCursor {
    private final int perBlock;
    private final int capacity;
    private final int maxAttention;
    private final List<Integer> pages = new ArrayList<>();
    private final List<Integer> slotFrames = new ArrayList<>();
    private final List<String> slotWriters = new ArrayList<>();
    private int localEnd;
    private int globalEnd;

    /**
     * An empty cache.
     *
     * @param perBlock frames of a frame block, which the anchor has too
     * @param cacheFrames slots
     * @param maxAttentionFrames most frames that a pass attends to
     */
    public RollingCursor(int perBlock, int cacheFrames, int maxAttentionFrames) {
        this.perBlock = perBlock;
        this.capacity = cacheFrames;
        this.maxAttention = maxAttentionFrames;
        for (int i = 0; i < cacheFrames; i++) {
            pages.add(i);
            slotFrames.add(Placement.EMPTY);
            slotWriters.add("");
        }
    }

    /**
     * Advances to a pass.
     *
     * @param pass its name
     * @param frameBlock the first frame block of the pass
     * @param frames frames of the pass
     * @param update whether the pass caches clean keys; the noisy keys of the others are never read and not kept
     */
    public Placement place(String pass, int frameBlock, int frames, boolean update) {
        int first = perBlock * frameBlock;
        int fresh = first + perBlock - globalEnd;
        int evicted = 0;
        if (fresh > 0 && localEnd + fresh > capacity) {
            evicted = localEnd + fresh - capacity;
            for (List<?> slots : List.of(pages, slotFrames, slotWriters)) {
                Collections.rotate(slots.subList(perBlock, localEnd), -evicted);
            }
        }
        int last = localEnd + fresh - evicted;
        int start = last - perBlock;
        if (fresh > 0) {
            localEnd = last;
            globalEnd = first + perBlock;
        }
        List<Integer> written = new ArrayList<>(Collections.nCopies(frames, -1));
        for (int i = 0; i < perBlock; i++) {
            if (update) {
                written.set(i, pages.get(start + i));
            }
            slotFrames.set(start + i, first + i);
            slotWriters.set(start + i, pass);
        }
        int from = update ? Math.max(0, last - maxAttention) : start - (maxAttention - frames - perBlock);
        int[] working = start == 0
                ? new int[0]
                : IntStream.range(update ? from : Math.min(start, Math.max(perBlock, from)), start)
                        .toArray();
        boolean anchor = !update && start > 0;
        int[] slots = IntStream.concat(IntStream.range(0, anchor ? perBlock : 0), Arrays.stream(working))
                .toArray();
        List<Integer> own = IntStream.range(first, first + frames).boxed().toList();
        List<Integer> keyFrames = new ArrayList<>(at(slots, slotFrames));
        List<Integer> positions = new ArrayList<>(keyFrames);
        for (int i = 0; anchor && i < perBlock; i++) {
            positions.set(i, first - working.length - perBlock + i);
        }
        List<String> writers = new ArrayList<>(at(slots, slotWriters));
        keyFrames.addAll(own);
        positions.addAll(own);
        writers.addAll(Collections.nCopies(frames, pass));
        return new Placement(
                written,
                at(slots, pages),
                IntStream.range(0, frames).boxed().toList(),
                own,
                keyFrames,
                positions,
                writers,
                List.of(),
                evicted);
    }

    private static <T> List<T> at(int[] slots, List<T> values) {
        return Arrays.stream(slots).mapToObj(values::get).toList();
    }
}
