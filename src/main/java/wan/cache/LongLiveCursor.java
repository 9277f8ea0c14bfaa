package wan.cache;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import wan.op.WanException;

/**
 * The window of LongLive 1.0 ({@code wan/modules/causal_model.py} and {@code causal_model_infinity.py} of its branch v1.0): as
 * {@link KvCursor} while the sink is no larger than a frame block, but a larger sink is attended before it is filled and is
 * written by the first pass that reaches it only, and finished frames can be cached again. Pure integers, in frames.
 */
public final class LongLiveCursor {
    private final int window;
    private final int sink;
    private final boolean slotPositions;
    private final List<Integer> pages = new ArrayList<>();
    private final List<Integer> slotFrames = new ArrayList<>();
    private final List<String> slotWriters = new ArrayList<>();
    private final Set<Integer> blank = new HashSet<>();
    private int localEnd;
    private int globalEnd;

    /**
     * An empty cache.
     *
     * @param window slots
     * @param sink first slots, which are never evicted
     * @param slotPositions whether a key stands at its slot's time position rather than at its absolute frame's
     */
    public LongLiveCursor(int window, int sink, boolean slotPositions) {
        this.window = window;
        this.sink = sink;
        this.slotPositions = slotPositions;
        for (int i = 0; i < window; i++) {
            pages.add(i);
            slotFrames.add(Placement.EMPTY);
            slotWriters.add("");
        }
    }

    /** Frames that are cached at present. */
    public int cachedFrames() {
        return localEnd;
    }

    /** Forgets what is in the slots, but not how many are in use. */
    public void clear() {
        Collections.fill(slotFrames, Placement.EMPTY);
        Collections.fill(slotWriters, "");
        blank.clear();
    }

    /**
     * Advances to a pass.
     *
     * @param pass its name
     * @param firstFrame absolute number of its first frame
     * @param frames frames of the pass
     * @param overSink whether it may write the sink's slots though their frames have been there before
     */
    public Placement place(String pass, int firstFrame, int frames, boolean overSink) {
        int end = firstFrame + frames;
        boolean isNew = end > globalEnd;
        boolean again = !isNew && firstFrame > 0;
        int evicted = 0;
        if (isNew && localEnd + frames > window) {
            evicted = localEnd + frames - window;
            if (localEnd - evicted > sink) {
                for (List<?> slots : List.of(pages, slotFrames, slotWriters)) {
                    Collections.rotate(slots.subList(sink, localEnd), -evicted);
                }
            }
        }
        int last = localEnd + (end - globalEnd) - evicted;
        int first = last - frames;
        if (first < 0 || last > window) {
            throw WanException.mismatch(
                    "KV cache", "at most " + window + " frames", last, "frames " + firstFrame + " to " + end);
        }
        List<Integer> written = new ArrayList<>();
        for (int slot = first; slot < last; slot++) {
            boolean kept = slot >= sink || !again || overSink;
            written.add(kept ? pages.get(slot) : -1);
            if (kept) {
                slotFrames.set(slot, firstFrame + slot - first);
                slotWriters.set(slot, pass);
                blank.remove(pages.get(slot));
            }
        }
        if (!again) {
            localEnd = last;
            globalEnd = end;
        }
        int[] slots = IntStream.concat(
                        IntStream.range(0, sink), IntStream.range(Math.max(sink, last - (window - sink)), last))
                .toArray();
        List<Integer> zeros = new ArrayList<>();
        for (int slot : slots) {
            if (slotFrames.get(slot) == Placement.EMPTY && blank.add(pages.get(slot))) {
                zeros.add(pages.get(slot));
            }
        }
        List<Integer> frameNumbers = IntStream.range(firstFrame, end).boxed().toList();
        List<Integer> keyFrames = at(slots, slotFrames);
        return new Placement(
                written,
                at(slots, pages),
                List.of(),
                slotPositions ? IntStream.range(first, last).boxed().toList() : frameNumbers,
                keyFrames,
                slotPositions ? Arrays.stream(slots).boxed().toList() : keyFrames,
                at(slots, slotWriters),
                zeros,
                evicted);
    }

    private static <T> List<T> at(int[] slots, List<T> values) {
        return Arrays.stream(slots).mapToObj(values::get).toList();
    }
}
