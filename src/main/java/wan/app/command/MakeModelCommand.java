package wan.app.command;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import wan.app.guard.OutputKind;
import wan.app.guard.Reads;
import wan.app.guard.Writes;
import wan.app.option.SeedConverter;
import wan.model.WanConfig;
import wan.op.DType;
import wan.op.UsageException;
import wan.op.WanException;
import wan.weights.ConfigJson;
import wan.weights.RandomModel;

/** {@code wan-attn make-model}: a model with random parameters, in the layout of Wan2.1. */
@Command(
        name = "make-model",
        description = "Writes a model with random weights, for trying things without a checkpoint.",
        footer = {
            "",
            "The same options give the same bytes on every machine. Logits of a random model",
            "have the usual scale, but no meaning.",
            "",
            "Examples:",
            "  wan-attn make-model --output weights/tiny",
            "  wan-attn make-model --config 1.3b --seed 7 --output weights/random-1.3b",
            "  wan-attn make-model --config my/config.json --dtype f32 --output weights/mine"
        })
public final class MakeModelCommand implements Callable<Integer> {

    @Reads
    @Option(
            names = "--config",
            paramLabel = "SIZE",
            description = "tiny (6 layers, 12 heads, dim 192), 1.3b (30 layers, 12 heads, dim 1536; 2.8 GB as bf16),"
                    + " or a config.json (default: tiny).")
    private String config = "tiny";

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            description = "Type of the weights: bf16, f16 or f32 (default: bf16).")
    private String dtype = "bf16";

    @Option(
            names = "--seed",
            paramLabel = "N",
            converter = SeedConverter.class,
            description = "Seed of the weights (default: ${DEFAULT-VALUE}).")
    private long seed;

    @Writes(OutputKind.MODEL)
    @Option(
            names = {"-o", "--output", "--out"},
            paramLabel = "DIR",
            required = true,
            description = "The folder to write; created if necessary. Required.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path out;

    @Option(
            names = "--force",
            description = "Write into a folder that is not empty, and overwrite a model in it. Inputs of the command"
                    + " are never overwritten.")
    private boolean force;

    @Override
    public Integer call() throws IOException {
        WanConfig wanted = config();
        DType stored = dtype();
        if (!force && Files.isDirectory(out)) {
            try (Stream<Path> files = Files.list(out)) {
                if (files.findAny().isPresent()) {
                    throw new WanException(out + ": the folder is not empty; --force writes into it all the same");
                }
            }
        }
        long startNanos = System.nanoTime();
        RandomModel.write(out, wanted, stored, seed, new WrittenBytes()::written);
        System.err.printf(
                Locale.ROOT,
                "%s: %d layers, %d heads, dim %d, %s, seed %d, written in %.1f s%n",
                out,
                wanted.numLayers(),
                wanted.numHeads(),
                wanted.dim(),
                stored.option(),
                seed,
                (System.nanoTime() - startNanos) / 1e9);
        return 0;
    }

    private WanConfig config() {
        return switch (config.toLowerCase(Locale.ROOT)) {
            case "tiny" -> RandomModel.tiny();
            case "1.3b" -> WanConfig.wan13b();
            default -> {
                if (!Files.exists(Path.of(config))) {
                    throw new UsageException("--config: expected tiny, 1.3b or a config.json, got " + config);
                }
                yield ConfigJson.read(Path.of(config));
            }
        };
    }

    private DType dtype() {
        return switch (dtype.toLowerCase(Locale.ROOT)) {
            case "bf16" -> DType.BF16;
            case "f16" -> DType.F16;
            case "f32" -> DType.F32;
            default -> throw new UsageException("--dtype: expected bf16, f16 or f32, got " + dtype);
        };
    }
}
