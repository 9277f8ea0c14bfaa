package wan.app.option;

import capture.analysis.Analysis;
import capture.analysis.MeasureOptions;
import capture.analysis.SavedResult;
import java.nio.file.Path;
import picocli.CommandLine.Option;
import wan.op.UsageException;

/** The options that say which passes and queries of a result are analyzed, and the parameters of the measures. */
public final class AnalysisOptions {
    @Option(
            names = "--pass",
            paramLabel = "PASS",
            description = "Pass of each frame block: first or last denoising step, context, or a step such as 2"
                    + " (default: ${DEFAULT-VALUE}).")
    private String pass = "first";

    @Option(
            names = "--frame-block",
            paramLabel = "N",
            description = "Frame block whose queries count, 0-based, or last (default: ${DEFAULT-VALUE}).")
    private String frameBlock = "last";

    @Option(
            names = "--sample",
            paramLabel = "N",
            description = "Sample of the batch, 0-based (default: ${DEFAULT-VALUE}).")
    private int sample;

    @Option(
            names = "--sink-frames",
            paramLabel = "N",
            description = "Number of first frames that count as the attention sink (default: ${DEFAULT-VALUE}).")
    private int sinkFrames = MeasureOptions.DEFAULT.sinkFrames();

    @Option(
            names = "--recent-frames",
            paramLabel = "N",
            description = "Number of newest frames that count as recent (default: ${DEFAULT-VALUE}).")
    private int recentFrames = MeasureOptions.DEFAULT.recentFrames();

    @Option(
            names = "--skip-frames",
            paramLabel = "N",
            description = "Number of first frames left out of the total for the recent mass (default:"
                    + " ${DEFAULT-VALUE}).")
    private int skipFrames = MeasureOptions.DEFAULT.skipFrames();

    /** Opens a result file. */
    public SavedResult open(Path file) {
        if (sample < 0) {
            throw new UsageException("--sample: expected 0 or more, got " + sample);
        }
        return SavedResult.open(file, sample);
    }

    /** The heads of a run as the options ask for them. */
    public Analysis analysis(SavedResult result) {
        return Analysis.of(result, result.slot(pass), result.frameBlock(frameBlock), measures());
    }

    public MeasureOptions measures() {
        for (int value : new int[] {sinkFrames, recentFrames}) {
            if (value < 1) {
                throw new UsageException("--sink-frames, --recent-frames: expected 1 or more, got " + value);
            }
        }
        if (skipFrames < 0) {
            throw new UsageException("--skip-frames: expected 0 or more, got " + skipFrames);
        }
        return new MeasureOptions(sinkFrames, recentFrames, skipFrames);
    }

    public String pass() {
        return pass;
    }

    public String frameBlock() {
        return frameBlock;
    }
}
