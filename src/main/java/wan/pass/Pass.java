package wan.pass;

import java.util.Collections;
import java.util.List;
import wan.cache.Placement;

/**
 * One forward pass of the model, with everything that is known about it before the run: its frames and their noise levels, what
 * it attends to, where its keys go. A pass carries its conditions itself, so that guidance, rolling windows and prompt switches
 * are passes like any other.
 *
 * @param id its name
 * @param firstFrame absolute number of its first frame
 * @param frames latent frames
 * @param timesteps one per frame, on the scale 0 to 1000
 * @param context which of the run's contexts (prompts) cross-attention attends to
 * @param cache which of the run's caches it writes and attends to
 * @param expert which of the run's models runs it
 * @param causalFrames if above 0, its frames are attended in groups of so many: a group sees itself and the groups before, as
 *     if there were a mask
 * @param placement where its keys go and which it attends to, at which positions
 * @param numLayers how many layers have to run
 * @param flow whether its flow prediction is needed
 */
public record Pass(
        PassId id,
        int firstFrame,
        int frames,
        List<Float> timesteps,
        int context,
        int cache,
        int expert,
        int causalFrames,
        Placement placement,
        int numLayers,
        boolean flow) {
    /** Copies the list. */
    public Pass {
        timesteps = List.copyOf(timesteps);
    }

    /** A pass with one timestep, the run's first context and its first cache. */
    public Pass(
            PassId id, int firstFrame, int frames, float timestep, Placement placement, int numLayers, boolean flow) {
        this(id, firstFrame, frames, Collections.nCopies(frames, timestep), 0, 0, 0, 0, placement, numLayers, flow);
    }

    /** The timestep of its first frame; it is that of all frames unless the frame blocks of a window have their own. */
    public float timestep() {
        return timesteps.getFirst();
    }

    /** The same pass with another context. */
    public Pass withContext(int other) {
        return new Pass(
                id, firstFrame, frames, timesteps, other, cache, expert, causalFrames, placement, numLayers, flow);
    }

    /** The same pass with other keys. */
    public Pass withPlacement(Placement other) {
        return new Pass(
                id, firstFrame, frames, timesteps, context, cache, expert, causalFrames, other, numLayers, flow);
    }

    /** The same pass on another cache. */
    public Pass withCache(int other) {
        return new Pass(
                id, firstFrame, frames, timesteps, context, other, expert, causalFrames, placement, numLayers, flow);
    }

    /**
     * One group of a pass with {@code causalFrames}, as a pass of its own. Run in order, the groups compute what the masked pass
     * does: no layer of a group sees anything of a later one.
     */
    Pass group(int group) {
        int from = group * causalFrames;
        int to = Math.min(frames, from + causalFrames);
        Placement part = new Placement(
                placement.written().subList(from, to),
                placement.attended().subList(0, to),
                List.of(),
                placement.queryPositions().subList(from, to),
                placement.keyFrames().subList(0, to),
                placement.keyPositions().subList(0, to),
                placement.keyWrittenBy().subList(0, to),
                List.of(),
                0);
        return new Pass(
                id,
                firstFrame,
                to - from,
                timesteps.subList(from, to),
                context,
                cache,
                expert,
                0,
                part,
                numLayers,
                flow);
    }

    /**
     * Whether one of its frames attends to a key slot. If not, the mask of {@code causalFrames} hides it.
     *
     * @param frame counted from its first
     * @param key the index of a key slot, as in {@link Placement}
     */
    public boolean attends(int frame, int key) {
        return causalFrames == 0 || key < (frame / causalFrames + 1) * causalFrames;
    }

    /** Groups of a pass with {@code causalFrames}. */
    int groups() {
        return Math.ceilDiv(frames, causalFrames);
    }

    /** The same pass, stopped after some layers and without its flow. */
    public Pass onlyLayers(int layers) {
        return new Pass(
                id, firstFrame, frames, timesteps, context, cache, expert, causalFrames, placement, layers, false);
    }

    /** The same pass, which fills some pages of its cache with zeros first. */
    public Pass blanking(List<Integer> pages) {
        return new Pass(
                id,
                firstFrame,
                frames,
                timesteps,
                context,
                cache,
                expert,
                causalFrames,
                placement.blanking(pages),
                numLayers,
                flow);
    }

    /** The same pass through all layers, with its flow. */
    public Pass withFlow(int layers) {
        return new Pass(
                id, firstFrame, frames, timesteps, context, cache, expert, causalFrames, placement, layers, true);
    }
}
