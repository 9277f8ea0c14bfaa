package wan.cache;

import java.util.List;

/**
 * Where a pass's frames go in the cache and what it attends, in frames.
 *
 * @param written the pages that the pass's frames are written to
 * @param attended the pages that it attends, in slot order
 * @param keyFrames the absolute frame number that each attended page holds once the pass has written
 * @param evictedFrames frames that the pass drops from the cache before it writes
 */
public record Placement(List<Integer> written, List<Integer> attended, List<Integer> keyFrames, int evictedFrames) {}
