package wan.pass;

import wan.cache.Placement;

/**
 * One forward of the model for one frame block, with everything that is known of it before the run.
 *
 * @param id its name
 * @param firstFrame absolute number of its first frame
 * @param frames latent frames
 * @param timestep on the scale 0 to 1000, the same for all frames
 * @param placement where its keys go and which it attends
 * @param numLayers how many layers have to run
 * @param flow whether its flow prediction is needed
 */
public record Pass(
        PassId id, int firstFrame, int frames, float timestep, Placement placement, int numLayers, boolean flow) {
    /** The same pass, stopped after some layers and without its flow. */
    public Pass onlyLayers(int layers) {
        return new Pass(id, firstFrame, frames, timestep, placement, layers, false);
    }
}
