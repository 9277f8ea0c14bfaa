package wan.run;

import capture.analysis.Difference;
import capture.analysis.HeadId;
import java.util.List;
import java.util.SequencedMap;

/**
 * What one edit of an {@link Ablation} did, measured against the unedited run with the same noise.
 *
 * @param variant the edit
 * @param from the pass and layer from which it was computed; what is before was the unedited run's
 * @param computed the part of a whole run's operations that was computed
 * @param seconds that it took
 * @param latents of all generated frames and samples
 * @param frames of each frame, given ones included: the drift
 * @param watched frame logits of other heads
 * @param failure why there is none of this; empty if there is
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
