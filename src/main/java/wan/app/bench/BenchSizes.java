package wan.app.bench;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import picocli.CommandLine.Option;
import wan.model.WanConfig;
import wan.op.DType;
import wan.op.Ops;
import wan.op.UsageException;

/** What {@code bench} measures: which operations, layers and passes, at which sizes. */
public final class BenchSizes {
    @Option(
            names = "--op",
            split = ",",
            paramLabel = "PREFIX",
            description = {
                "Only operations whose names start so: linear, attention.",
                "layer and pass (only if named) measure a whole layer with and without capture, and a pass of"
                        + " all layers and the head, which takes minutes."
            })
    private String[] op = {""};

    @Option(
            names = "--frames",
            split = ",",
            paramLabel = "N",
            description = "Frames per pass (default: ${DEFAULT-VALUE}).",
            defaultValue = "1,3")
    private int[] frames = {};

    @Option(
            names = "--key-frames",
            split = ",",
            paramLabel = "N",
            description = "Numbers of attended frames (default: ${DEFAULT-VALUE}).",
            defaultValue = "3,21")
    private int[] keyFrames = {};

    @Option(
            names = "--frame-seq-len",
            paramLabel = "N",
            description = "Tokens of a frame (default: ${DEFAULT-VALUE}).",
            defaultValue = "1560")
    private int frameSeqLen;

    @Option(names = "--dim", paramLabel = "N", description = "(default: ${DEFAULT-VALUE})", defaultValue = "1536")
    private int dim;

    @Option(names = "--ffn-dim", paramLabel = "N", description = "(default: ${DEFAULT-VALUE})", defaultValue = "8960")
    private int ffnDim;

    @Option(names = "--num-heads", paramLabel = "N", description = "(default: ${DEFAULT-VALUE})", defaultValue = "12")
    private int numHeads;

    @Option(
            names = "--text-len",
            paramLabel = "N",
            description = "Number of text tokens (default: ${DEFAULT-VALUE}).",
            defaultValue = "512")
    private int textLen;

    @Option(
            names = "--weights",
            split = ",",
            paramLabel = "DTYPE",
            description = "Stored types of the weights of layer and pass: bf16, f32, f16 (default: ${DEFAULT-VALUE}).",
            defaultValue = "bf16")
    private DType[] weights = {};

    @Option(
            names = "--layers",
            paramLabel = "N",
            description = "Number of layers of a pass (default: ${DEFAULT-VALUE}).",
            defaultValue = "30")
    private int layers;

    @Option(
            names = "--measured-layers",
            paramLabel = "N",
            description = "Run only this many layers and extrapolate the time of the others (default:"
                    + " ${DEFAULT-VALUE}). Every layer takes 20 MB per frame for its KV cache.",
            defaultValue = "2")
    private int measuredLayers;

    /**
     * Holds the sizes against each other.
     *
     * @throws UsageException if they make no model
     */
    public void check() {
        int smallest = IntStream.of(dim, ffnDim, frameSeqLen, numHeads, textLen, layers, measuredLayers)
                .min()
                .getAsInt();
        if (smallest < 1 || dim % (2 * numHeads) != 0) {
            throw new UsageException("bench: sizes must be positive, and --dim a multiple of 2 x --num-heads");
        }
        if (measuredLayers < 2 && measuredLayers < layers) {
            throw new UsageException(
                    "--measured-layers: expected 2 or more, to tell a layer from the rest of a pass, got "
                            + measuredLayers);
        }
        for (DType dtype : weights) {
            if (dtype != DType.BF16 && dtype != DType.F32 && dtype != DType.F16) {
                throw new UsageException("--weights: expected bf16, f32 or f16, got " + dtype.option());
            }
        }
    }

    /**
     * The cases that were asked for.
     *
     * @param arena parameters lie there
     * @throws UsageException if nothing is called so
     */
    public List<BenchCase> chosen(Ops ops, Arena arena) {
        List<BenchCase> chosen = new ArrayList<>();
        for (String prefix : op) {
            boolean ofModel = prefix.equals("layer") || prefix.equals("pass");
            List<BenchCase> found = named(prefix, ofModel ? ofModel(ops, arena) : ofOps(ops));
            if (found.isEmpty()) {
                throw new UsageException(
                        ofModel
                                ? "--op " + prefix
                                        + ": a pass attends to its own frames, but every --key-frames is below --frames"
                                : "--op " + prefix + ": no operation is called so");
            }
            chosen.addAll(found);
        }
        return chosen;
    }

    private static List<BenchCase> named(String prefix, List<BenchCase> cases) {
        return cases.stream()
                .filter(candidate -> candidate.op().startsWith(prefix))
                .toList();
    }

    private List<BenchCase> ofOps(Ops ops) {
        BenchCase.Sizes sizes = new BenchCase.Sizes(frameSeqLen, dim, ffnDim, numHeads);
        List<BenchCase> cases = new ArrayList<>();
        for (int count : frames) {
            cases.addAll(BenchCase.rows(ops, sizes, count));
        }
        for (int count : frames) {
            for (int keys : keyFrames) {
                cases.addAll(BenchCase.attention(ops, sizes, count, keys));
            }
        }
        return cases;
    }

    private List<BenchCase> ofModel(Ops ops, Arena arena) {
        WanConfig wan = WanConfig.wan13b();
        WanConfig config = new WanConfig(
                dim,
                ffnDim,
                wan.freqDim(),
                wan.inDim(),
                wan.outDim(),
                numHeads,
                Math.min(measuredLayers, layers),
                wan.textDim(),
                textLen,
                wan.eps());
        List<BenchCase> cases = new ArrayList<>();
        for (DType dtype : weights) {
            BenchModel model = new BenchModel(ops, config, dtype, frameSeqLen, layers, arena);
            for (int count : frames) {
                for (int keys : keyFrames) {
                    if (keys >= count) {
                        cases.addAll(model.layer(count, keys));
                        cases.add(model.pass(count, keys));
                    }
                }
            }
        }
        return cases;
    }
}
