package capture.analysis;

/**
 * Parameters of the measures.
 *
 * @param sinkFrames first frames that count as the sink
 * @param recentFrames newest frames that count as recent
 * @param skipFrames first frames that the recent share leaves out of its total
 */
public record MeasureOptions(int sinkFrames, int recentFrames, int skipFrames) {
    /** As the papers' code has it for Self-Forcing. */
    public static final MeasureOptions DEFAULT = new MeasureOptions(1, 4, 3);
}
