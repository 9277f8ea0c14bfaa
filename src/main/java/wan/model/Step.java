package wan.model;

import wan.op.Dyn;
import wan.op.Grid;

/**
 * Where a pass stands in the video. The grid is fixed for one recording; the others change from pass to pass.
 *
 * @param grid tokens of one sample of the pass
 * @param startFrame one value: the absolute number of the pass's first frame
 * @param written the cache pages that the pass's frames are written to, one a frame
 * @param attended the cache pages that the pass attends, the written ones included, in slot order
 */
public record Step(Grid grid, Dyn startFrame, Dyn written, Dyn attended) {}
