package wan.run;

import capture.analysis.Difference;
import capture.analysis.HeadId;
import java.util.List;
import java.util.SequencedMap;

/**
 * The effect of one edit of an {@link Ablation}, measured against the unedited run with the same noise.
 *
 * @param variant the edit
 * @param from the pass and layer at which it departs from the unedited run
 * @param computed the share of a whole run's operations that was computed
 * @param seconds the time that it took
 * @param latents the difference of all generated frames and samples
 * @param frames the difference of each frame (its drift), including given frames
 * @param watched the differences of frame logits of the watched heads
 * @param failure why there are no numbers; empty if there are
 */
public record Outcome(
        Variant variant,
        String from,
        double computed,
        double seconds,
        Difference latents,
        List<Difference> frames,
        SequencedMap<HeadId, Difference> watched,
        String failure) {
    /** Copies the list. */
    public Outcome {
        frames = List.copyOf(frames);
    }
}
