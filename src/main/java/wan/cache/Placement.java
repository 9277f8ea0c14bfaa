package wan.cache;

import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Where a pass's frames go in the cache, and what it attends to at which time positions; in frames.
 *
 * <p>Key slots are the attended pages, in slot order, then the pass's own frames that are attended without lying in a page
 * ({@code own}); the lists of keys have one entry for each.
 *
 * @param written the page that each frame of the pass is written to; -1 where it is not kept
 * @param attended the pages that are attended
 * @param own the frames of the pass, counted from its first, that are attended although no attended page holds them
 * @param queryPositions the time position of each frame of the pass
 * @param keyFrames the absolute frame number that each key slot holds once the pass has written; {@link #EMPTY} where nothing
 *     was ever written, {@link #GIVEN} for a key that is not a frame of the video
 * @param keyPositions the time position that each key is turned to; {@link #EMPTY} where there is none
 * @param keyWrittenBy the pass that each key was computed in; empty where there is none
 * @param blank pages that are attended though nothing was written to them since the cache was made or cleared: their keys and
 *     values have to be zeros
 * @param evictedFrames frames that the pass drops from the cache before it writes
 */
public record Placement(
        List<Integer> written,
        List<Integer> attended,
        List<Integer> own,
        List<Integer> queryPositions,
        List<Integer> keyFrames,
        List<Integer> keyPositions,
        List<String> keyWrittenBy,
        List<Integer> blank,
        int evictedFrames) {
    /** A key slot that was never written. */
    public static final int EMPTY = -1;

    /** A key slot with a frame from elsewhere, such as a picture that was encoded again. */
    public static final int GIVEN = -2;

    /** Copies the lists. */
    public Placement {
        written = List.copyOf(written);
        attended = List.copyOf(attended);
        own = List.copyOf(own);
        queryPositions = List.copyOf(queryPositions);
        keyFrames = List.copyOf(keyFrames);
        keyPositions = List.copyOf(keyPositions);
        keyWrittenBy = List.copyOf(keyWrittenBy);
        blank = List.copyOf(blank);
    }

    /** Key frames of the pass. */
    public int keys() {
        return keyFrames.size();
    }

    /** Whether it attends to keys that no pass computed: means of others' keys. */
    public boolean blends() {
        return IntStream.range(0, keys())
                .anyMatch(i -> keyFrames.get(i) == GIVEN && keyWrittenBy.get(i).isEmpty());
    }

    /** A pass that writes its frames to the first pages, and attends to these alone, in both directions. */
    public static Placement alone(String pass, int frames) {
        List<Integer> all = IntStream.range(0, frames).boxed().toList();
        return new Placement(all, all, List.of(), all, all, all, Collections.nCopies(frames, pass), List.of(), 0);
    }

    /** The same, with other pages to be filled with zeros. */
    public Placement blanking(List<Integer> pages) {
        return new Placement(
                written, attended, own, queryPositions, keyFrames, keyPositions, keyWrittenBy, pages, evictedFrames);
    }
}
