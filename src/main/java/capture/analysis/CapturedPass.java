package capture.analysis;

import java.util.List;
import wan.pass.PassId;

/**
 * A pass as a result file describes it.
 *
 * @param id its name
 * @param firstFrame absolute number of its first query frame
 * @param frames query frames, f
 * @param timestep on the scale 0 to 1000
 * @param keyFrames absolute number of the frame in every attended cache slot, K of them
 */
public record CapturedPass(PassId id, int firstFrame, int frames, double timestep, List<Integer> keyFrames) {
    /** Copies the list. */
    public CapturedPass {
        keyFrames = List.copyOf(keyFrames);
    }
}
