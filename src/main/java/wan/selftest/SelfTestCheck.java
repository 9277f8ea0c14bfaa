package wan.selftest;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import wan.backend.DeviceCheck;
import wan.backend.HostSpeed;
import wan.backend.Storage;
import wan.op.Grid;
import wan.op.Ops;

/**
 * Judges devices by the self-test's operations.
 *
 * @param sizes what is measured: of each operation the first case
 * @param layer how often a layer does what is measured
 * @param kept where measurements of layers are kept
 */
public record SelfTestCheck(List<SelfTestCases.Case> sizes, HostSpeed.Layer layer, HostSpeed.Kept kept)
        implements DeviceCheck {
    private static final long MEASURE_NANOS = 200_000_000;

    /** Floating-point operations of the largest operation that is measured, about: one of a frame of 1.3B. */
    private static final double MOST_FLOPS = 4.5e10;
    /** Frames of keys that are measured, at most: with more, attention takes as much longer as there are. */
    private static final int MOST_KEY_FRAMES = 3;

    /** Keeps nothing. */
    public SelfTestCheck(List<SelfTestCases.Case> sizes) {
        this(sizes, HostSpeed.Layer.OF_ONE_FRAME, HostSpeed.Kept.NOWHERE);
    }

    /**
     * Measures at the sizes of a run.
     *
     * @param frame of one frame of tokens
     * @param keyFrames frames that a frame attends to, on average
     */
    public static SelfTestCheck ofRun(
            Grid frame, int heads, int headDim, int ffnDim, double keyFrames, HostSpeed.Kept kept) {
        int pages = Math.clamp((int) keyFrames, 1, MOST_KEY_FRAMES);
        double linear = 2.0 * frame.tokens() * heads * headDim * ffnDim;
        double attention = 4.0 * frame.tokens() * frame.tokens() * pages * heads * headDim;
        double share = Math.min(MOST_FLOPS / linear, Math.sqrt(MOST_FLOPS / attention));
        int rows = Math.clamp((int) (frame.rows() * share), 1, frame.rows());
        double more = (double) frame.rows() / rows;
        HostSpeed.Layer layer = new HostSpeed.Layer(
                String.format(
                        Locale.ROOT,
                        "frames of %d tokens that attend %.1f frames, %d heads of %d, ffn %d",
                        frame.tokens(),
                        keyFrames,
                        heads,
                        headDim,
                        ffnDim),
                Map.of("linear", 6 * more, "linearGelu", 2 * more, "attention", more * more * keyFrames / pages));
        Grid measured = new Grid(1, rows, frame.columns());
        return new SelfTestCheck(SelfTestCases.frame(measured, heads, headDim, ffnDim, pages), layer, kept);
    }

    /** Measures at the sizes of one frame of the 1.3B model. */
    public static SelfTestCheck ofTheModel() {
        return new SelfTestCheck(SelfTestCases.large());
    }

    @Override
    public String problem(Ops ops, Storage storage, String prefix) {
        List<SelfTest.Result> wrong = SelfTest.quick(ops, storage, prefix);
        return wrong.isEmpty() ? "" : wrong.getFirst().toString();
    }

    @Override
    public Timing time(Ops ops, String op) {
        SelfTestCases.Case one =
                sizes.stream().filter(size -> size.op().equals(op)).findFirst().orElseThrow();
        return new Timing(one.op() + " " + one.size(), SelfTest.seconds(ops, one, MEASURE_NANOS));
    }
}
