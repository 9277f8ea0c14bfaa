package wan.app.option;

import capture.analysis.Analysis;
import capture.analysis.MeasureOptions;
import capture.analysis.RunResult;
import java.nio.file.Path;
import picocli.CommandLine.Option;
import wan.op.UsageException;

/** Which passes and queries of a result file are looked at, and what measures leave open. */
public final class AnalysisOptions {
    @Option(
            names = "--pass",
            paramLabel = "PASS",
            description = "Which pass of every frame block: first, last (denoising step), context, or a step such as 2"
                    + " (default: ${DEFAULT-VALUE}).")
    private String pass = "first";

    @Option(
            names = "--frame-block",
            paramLabel = "N",
            description = "Whose query frames count, 0-based, or last (default: ${DEFAULT-VALUE}).")
    private String frameBlock = "last";

    @Option(
            names = "--sample",
            paramLabel = "N",
            description = "Which sample of a batch, 0-based (default: ${DEFAULT-VALUE}).")
    private int sample;

    @Option(
            names = "--sink-frames",
            paramLabel = "N",
            description = "First frames that are the sink (default: ${DEFAULT-VALUE}).")
    private int sinkFrames = MeasureOptions.DEFAULT.sinkFrames();

    @Option(
            names = "--recent-frames",
            paramLabel = "N",
            description = "Newest frames that are recent (default: ${DEFAULT-VALUE}).")
    private int recentFrames = MeasureOptions.DEFAULT.recentFrames();

    @Option(
            names = "--skip-frames",
            paramLabel = "N",
            description = "First frames that the recent mass leaves out of its total (default: ${DEFAULT-VALUE}).")
    private int skipFrames = MeasureOptions.DEFAULT.skipFrames();

    /** Opens a result file. */
    public RunResult open(Path file) {
        if (sample < 0) {
            throw new UsageException("--sample: expected 0 or more, got " + sample);
        }
        return RunResult.open(file, sample);
    }

    /** The heads of a run as the options ask for them. */
    public Analysis analysis(RunResult result) {
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
