package wan.model;

import org.jspecify.annotations.Nullable;
import wan.op.Dyn;
import wan.op.Grid;

/**
 * Where a pass stands in the video, and which keys it attends to. The grid is fixed for one recording; the others change from
 * pass to pass.
 *
 * @param grid tokens of one sample of the pass
 * @param positions the time position of each frame of the pass
 * @param written the cache page that each frame's keys and values are written to; -1 where they are not kept
 * @param attended the cache pages that the pass attends to, in slot order
 * @param turn how keys are brought to their positions, in a cache that keeps them unrotated; null where keys are kept rotated,
 *     which costs nothing
 */
public record Step(
        Grid grid,
        Dyn positions,
        Dyn written,
        Dyn attended,
        @Nullable Turn turn) {
    /**
     * Keys that are kept without rotation get their time positions when they are attended: {@code attended} pages, then frames of the
     * pass itself, are put side by side in the workspace.
     *
     * @param cached tokens of one sample of the attended cache pages; its frames may be 0
     * @param positions the time position of each attended cache page
     * @param copies the workspace page of each attended cache page
     * @param own the workspace page of each frame of the pass; -1 where it is not attended, or is among the cache pages already
     * @param attended the workspace pages, in slot order
     */
    public record Turn(Grid cached, Dyn positions, Dyn copies, Dyn own, Dyn attended) {}

    /** A step over keys that are kept rotated. */
    public Step(Grid grid, Dyn positions, Dyn written, Dyn attended) {
        this(grid, positions, written, attended, null);
    }
}
