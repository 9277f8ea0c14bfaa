package wan.cache;

/**
 * A cache of a run, as it has to be made.
 *
 * @param frames pages, of one frame each
 * @param perLayer whether every layer has its own, so that keys last from pass to pass; otherwise all layers share one
 * @param workspaceFrames pages where keys that are kept without rotation are turned to their positions; 0 where keys are kept
 *     rotated by their absolute frame
 */
public record CacheLayout(int frames, boolean perLayer, int workspaceFrames) {
    /** Keys rotated by their absolute frame, which last. */
    public static CacheLayout rotated(int frames) {
        return new CacheLayout(frames, true, 0);
    }

    /** Keys for one pass. */
    public static CacheLayout passing(int frames) {
        return new CacheLayout(frames, false, 0);
    }

    /** Keys that last and get their positions when they are attended. */
    public static CacheLayout unrotated(int frames, int workspaceFrames) {
        return new CacheLayout(frames, true, workspaceFrames);
    }
}
