package wan.app.command;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import wan.app.guard.OutputKind;
import wan.app.guard.Reads;
import wan.app.guard.Writes;
import wan.app.option.ModelOptions;
import wan.file.TensorStore;
import wan.op.DType;
import wan.op.Shape;
import wan.op.UsageException;
import wan.run.Program;
import wan.weights.ConfigJson;
import wan.weights.Converter;
import wan.weights.ModelFolder;
import wan.weights.ModelLayout;
import wan.weights.ParameterCheck;

/** {@code wan-attn convert}: any checkpoint as safetensors under the original names. */
@Command(
        name = "convert",
        description = {
            "Converts a checkpoint to .safetensors with Wan2.1's own tensor names.",
            "",
            "IN is a PyTorch file (.pt, .pth), a .safetensors file, the .index.json of several, or a"
                    + " model folder. The layouts of Self-Forcing, Wan2.1, Diffusers and ComfyUI are recognised."
                    + " Conversion is never required: wan-attn reads all of them directly."
        },
        footer = {
            "",
            "Examples:",
            "  wan-attn convert self_forcing_dmd.pt self_forcing.safetensors",
            "  wan-attn convert self_forcing_dmd.pt plain.safetensors --no-use-ema \\",
            "      --dtype bf16",
            "  wan-attn convert Wan2.1-T2V-1.3B-Diffusers wan.safetensors \\",
            "      --max-shard-bytes 1GB",
            "  wan-attn convert models_t5_umt5-xxl-enc-bf16.pth t5.safetensors --raw"
        })
public final class ConvertCommand implements Callable<Integer> {
    private static final Pattern SIZE = Pattern.compile("(\\d{1,15})(|[KMGT]i?B?|B)", Pattern.CASE_INSENSITIVE);
    private static final String SUFFIX = ".safetensors";

    @Reads
    @Parameters(index = "0", paramLabel = "IN", description = "The checkpoint.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path in;

    @Writes(OutputKind.WEIGHTS)
    @Parameters(index = "1", paramLabel = "OUT", description = "The .safetensors file to write.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path out;

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            description = "Type of floating-point tensors: keep, f32, bf16 or f16 (default: keep).")
    private String dtype = "keep";

    @Option(
            names = "--max-shard-bytes",
            paramLabel = "SIZE",
            description = "Split into files of at most this size, such as 5GB or 4GiB, with an OUT.index.json (default:"
                    + " one file).")
    private @Nullable String maxShardBytes;

    @Option(
            names = "--raw",
            description = "Keep every tensor of the file unchanged; its name is its path in the nested dicts, joined by"
                    + " /.")
    private boolean raw;

    @Option(
            names = "--use-ema",
            negatable = true,
            description = "Use generator_ema (or, with --no-use-ema, generator) of a Self-Forcing checkpoint (default:"
                    + " generator_ema if present, else generator).")
    private @Nullable Boolean useEma;

    @Option(
            names = "--force",
            description = "Overwrite existing weights. Without it, weights are never overwritten; inputs of the command"
                    + " never are.")
    @SuppressWarnings("UnusedVariable") // the guard asks picocli for it
    private boolean force;

    @Override
    public Integer call() throws IOException {
        if (!out.toString().endsWith(SUFFIX)) {
            throw new UsageException("OUT: expected a file that ends in " + SUFFIX + ", got " + out);
        }
        DType stored = dtype();
        if (raw && (stored != null || useEma != null)) {
            throw new UsageException("--raw: expected no --dtype or --use-ema with it, because it changes nothing");
        }
        long startNanos = System.nanoTime();
        try (TensorStore file = ModelFolder.weights(in)) {
            ModelLayout layout = raw ? null : ModelLayout.of(file, ModelOptions.branch(useEma));
            if (layout != null) {
                layout.notices().forEach(notice -> System.err.println(Program.NAME + ": " + notice));
            }
            TensorStore source = layout == null ? file : layout;
            Converter converter = new Converter(source, out, stored, maxShardBytes(), metadata(file, source));
            converter.write(new WrittenBytes()::written);
            System.err.printf(
                    Locale.ROOT,
                    "%s: %d tensors, %.1f MB, %s, written in %.1f s%n",
                    converter.files().getLast(),
                    source.names().size(),
                    converter.totalBytes() / 1e6,
                    layout == null ? "raw" : layout.description(),
                    (System.nanoTime() - startNanos) / 1e9);
        }
        return 0;
    }

    private @Nullable DType dtype() {
        return switch (dtype.toLowerCase(Locale.ROOT)) {
            case "keep" -> null;
            case "f32" -> DType.F32;
            case "bf16" -> DType.BF16;
            case "f16" -> DType.F16;
            default -> throw new UsageException("--dtype: expected keep, f32, bf16 or f16, got " + dtype);
        };
    }

    private long maxShardBytes() {
        if (maxShardBytes == null) {
            return Long.MAX_VALUE;
        }
        Matcher size = SIZE.matcher(maxShardBytes.strip());
        if (size.matches()) {
            String unit = size.group(2).toUpperCase(Locale.ROOT);
            double base = unit.contains("I") ? 1024 : 1000;
            double bytes = Double.parseDouble(size.group(1))
                    * Math.pow(base, unit.isEmpty() ? 0 : "BKMGT".indexOf(unit.charAt(0)));
            if (bytes >= 1 && bytes < 0x1p63) {
                return (long) bytes;
            }
        }
        throw new UsageException("--max-shard-bytes: expected a size as 5GB or 4GiB, got " + maxShardBytes);
    }

    /** With its configuration in it, a file is a model on its own. */
    private Map<String, String> metadata(TensorStore file, TensorStore source) {
        Map<String, String> metadata = new LinkedHashMap<>(file.metadata());
        metadata.put("format", "pt");
        if (raw) {
            return metadata;
        }
        ModelFolder.configuration(file)
                .ifPresentOrElse(
                        config -> {
                            Map<String, Shape> shapes = new LinkedHashMap<>();
                            source.names()
                                    .forEach(name ->
                                            shapes.put(name, source.tensor(name).shape()));
                            ParameterCheck.require(file.path(), config, shapes);
                            metadata.put(
                                    ModelFolder.CONFIG_KEY,
                                    new String(ConfigJson.write(config), StandardCharsets.UTF_8).strip());
                        },
                        () -> System.err.println(Program.NAME + ": " + file.path()
                                + ": no config.json beside it, so its parameters were not checked; to run the result, pass it as"
                                + " --checkpoint, or put one beside it"));
        return metadata;
    }
}
