package wan.weights;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import wan.file.Contents;
import wan.file.FloatBytes;
import wan.file.Messages;
import wan.file.TensorFiles;
import wan.file.TensorStore;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.HalfFormat;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * A model's parameters with low-rank adapters merged into them: W' = W + scale * B A, as each is asked for.
 *
 * <p>Where W is bfloat16, everything is rounded as PEFT rounds on a processor: A and B first, then scale times the product, then the sum.
 * Names of adapters may be those of PEFT ({@code base_model.model.blocks.0.self_attn.q.lora_A.weight}), of Diffusers ({@code
 * transformer.blocks.0.attn1.to_q.lora_A.weight}), of ComfyUI ({@code diffusion_model.blocks.0.self_attn.q.lora_down.weight}) or of kohya
 * ({@code lora_unet_blocks_0_self_attn_q.lora_down.weight}), the last two with {@code .alpha}. Whole differences of weights and biases
 * beside them ({@code .diff}, {@code .diff_b}, as ComfyUI extracts them) are added as they are.
 */
final class LoraStore implements TensorStore {
    private static final TensorFiles FILES = new TensorFiles(
            Contents.LORA,
            List.of("pytorch_lora_weights.safetensors", "adapter_model.safetensors", "adapter_model.bin", "lora.pt"),
            List.of());
    private static final List<String> PREFIXES =
            List.of("base_model.model.", "transformer.", "diffusion_model.", "model.");
    private static final String KOHYA_PREFIX = "lora_unet_";
    private static final String DICT = "generator_lora/";

    private final TensorStore base;
    private final TensorStore file;
    private final Map<String, Adapter> adapters;
    private final Map<String, Difference> differences;
    private final Arena arena = Arena.ofShared();
    private final Map<String, TensorView> merged = new ConcurrentHashMap<>();

    /**
     * One adapter.
     *
     * @param down A, [r, in]
     * @param up B, [out, r]
     * @param scale of B A
     */
    private record Adapter(TensorView down, TensorView up, double scale) {}

    /**
     * What is added to a parameter.
     *
     * @param values of the parameter's shape
     * @param strength what they are multiplied with
     */
    private record Difference(TensorView values, double strength) {}

    private LoraStore(
            TensorStore base, TensorStore file, Map<String, Adapter> adapters, Map<String, Difference> differences) {
        this.base = base;
        this.file = file;
        this.adapters = adapters;
        this.differences = differences;
    }

    /**
     * Puts a file of adapters over a model.
     *
     * @param base under original names; closed with the result
     * @param path of the adapters
     * @param strength what all of it is multiplied with
     * @param alpha of files that do not say it; null for the rank, which makes the scale 1
     * @throws FormatException if the file has anything but adapters of this model
     */
    static LoraStore open(TensorStore base, Path path, double strength, @Nullable Double alpha) {
        TensorStore file = FILES.open(path);
        try {
            Map<String, Difference> differences = new LinkedHashMap<>();
            Map<String, Adapter> adapters = adapters(base, file, strength, alpha, differences);
            return new LoraStore(base, file, adapters, differences);
        } catch (RuntimeException e) {
            file.close();
            throw e;
        }
    }

    private static Map<String, Adapter> adapters(
            TensorStore base,
            TensorStore file,
            double strength,
            @Nullable Double alpha,
            Map<String, Difference> differences) {
        Map<String, String> modules = modules(base);
        SequencedMap<String, TensorView> down = new LinkedHashMap<>();
        Map<String, TensorView> up = new LinkedHashMap<>();
        Map<String, Double> alphas = new LinkedHashMap<>();
        List<String> others = new ArrayList<>();
        boolean dict = file.names().stream().anyMatch(name -> name.startsWith(DICT));
        for (String name : file.names()) {
            if (dict && !name.startsWith(DICT)) {
                continue; // the critic's, which no generation uses
            }
            String key = (dict ? name.substring(DICT.length()) : name).replace(".default.weight", ".weight");
            String module = key.replaceFirst("\\.(lora_(A|B|down|up)\\.weight|alpha|diff|diff_b)$", "");
            String parameter = parameter(modules, module).orElse("");
            TensorView view = file.tensor(name);
            if (key.endsWith(".dora_scale")) {
                throw new FormatException(
                        file.path(),
                        "a DoRA, whose magnitudes (" + Messages.shown(name) + ") are not supported; use a plain LoRA");
            }
            if (module.equals(key) || parameter.isEmpty()) {
                others.add(name);
            } else if (key.endsWith(".diff") || key.endsWith(".diff_b")) {
                String changed = key.endsWith("_b") ? parameter.replaceFirst("weight$", "bias") : parameter;
                requireShape(base, file, changed, view);
                differences.put(changed, new Difference(view, strength));
            } else if (key.endsWith(".alpha")) {
                alphas.put(parameter, view.toDoubles()[0]);
            } else if (key.endsWith("lora_A.weight") || key.endsWith("lora_down.weight")) {
                down.put(parameter, view);
            } else {
                up.put(parameter, view);
            }
        }
        if (!others.isEmpty() || (down.isEmpty() && differences.isEmpty())) {
            Contents contents = Contents.of(file.names());
            throw new FormatException(
                    file.path(),
                    "not a LoRA of this model: expected pairs lora_A and lora_B (or lora_down and lora_up) of its linear"
                            + " layers, got "
                            + (others.isEmpty()
                                    ? "none"
                                    : others.size() + " others, such as " + Messages.shown(others.getFirst()))
                            + (contents == Contents.LORA ? "" : contents.itIs()));
        }
        Map<String, Adapter> adapters = new LinkedHashMap<>();
        down.forEach((parameter, a) -> {
            TensorView b = up.remove(parameter);
            Shape shape = base.tensor(parameter).shape();
            Shape bShape = b == null ? Shape.of(0) : b.shape();
            long rank = a.shape().dims()[0];
            if (b == null
                    || !a.shape().equals(Shape.of(rank, shape.size() / shape.dims()[0]))
                    || !bShape.equals(Shape.of(shape.dims()[0], rank))) {
                throw WanException.mismatch(
                        file.path() + ": " + parameter,
                        "A [r, " + shape.size() / shape.dims()[0] + "] and B [" + shape.dims()[0] + ", r]",
                        a.shape() + " and " + (b == null ? "none" : bShape),
                        "a LoRA of another model?");
            }
            double own = alphas.getOrDefault(parameter, alpha == null ? (double) rank : alpha);
            adapters.put(parameter, new Adapter(a, b, strength * own / rank));
        });
        if (!up.isEmpty()) {
            throw new FormatException(
                    file.path(), "has no A for B of " + up.keySet().iterator().next());
        }
        return adapters;
    }

    private static void requireShape(TensorStore base, TensorStore file, String parameter, TensorView difference) {
        boolean known = base.names().contains(parameter);
        if (!known
                || base.tensor(parameter).shape().size() != difference.shape().size()) {
            throw WanException.mismatch(
                    file.path() + ": " + difference.name(),
                    known ? base.tensor(parameter).shape() : "a parameter of the model",
                    known ? difference.shape() : parameter,
                    "a LoRA of another model?");
        }
    }

    /** Every weight, by all names that its module goes by. */
    private static Map<String, String> modules(TensorStore base) {
        Map<String, String> modules = new LinkedHashMap<>();
        for (String name : base.names()) {
            if (name.endsWith(".weight")) {
                String module = name.substring(0, name.length() - ".weight".length());
                modules.put(module, name);
                modules.put(module.replace('.', '_'), name);
                ParameterNames.diffusers(name)
                        .ifPresent(other -> modules.put(other.substring(0, other.length() - ".weight".length()), name));
            }
        }
        return modules;
    }

    private static Optional<String> parameter(Map<String, String> modules, String module) {
        if (module.startsWith(KOHYA_PREFIX)) {
            return Optional.ofNullable(modules.get(module.substring(KOHYA_PREFIX.length())));
        }
        String rest = module;
        for (boolean found = true; found && !modules.containsKey(rest); ) {
            found = false;
            for (String prefix : PREFIXES) {
                if (rest.startsWith(prefix)) {
                    rest = rest.substring(prefix.length());
                    found = true;
                }
            }
        }
        return Optional.ofNullable(modules.get(rest));
    }

    /** The model without the adapters. */
    TensorStore base() {
        return base;
    }

    /** The adapters' file. */
    TensorStore file() {
        return file;
    }

    /** What was merged, for people. */
    String description() {
        StringBuilder text = new StringBuilder("LoRA " + file.path().getFileName() + ":");
        adapters.values().stream()
                .findFirst()
                .ifPresent(adapter -> text.append(" " + adapters.size() + " linear layers, rank "
                        + adapter.down().shape().dims()[0] + ", scale " + adapter.scale()));
        if (!differences.isEmpty()) {
            text.append(adapters.isEmpty() ? " " : ", ").append(differences.size() + " whole differences");
        }
        return text.toString();
    }

    @Override
    public TensorView tensor(String name) {
        Adapter adapter = adapters.get(name);
        Difference difference = differences.get(name);
        return adapter == null && difference == null
                ? base.tensor(name)
                : merged.computeIfAbsent(name, n -> {
                    TensorView weight = base.tensor(n);
                    TensorView sum = difference == null ? weight : add(weight, difference);
                    return adapter == null ? sum : merge(sum, adapter);
                });
    }

    private TensorView add(TensorView weight, Difference difference) {
        DType dtype = weight.dtype() == DType.BF16 ? DType.BF16 : DType.F32;
        float[] sum = weight.toFloats();
        float[] delta = difference.values().toFloats();
        for (int i = 0; i < sum.length; i++) {
            sum[i] += (float) (difference.strength() * delta[i]);
        }
        MemorySegment data = arena.allocate(dtype.bytes(sum.length), Long.BYTES);
        FloatBytes.put(dtype, sum, 0, sum.length, data.asByteBuffer());
        return new TensorView(weight.name(), dtype, weight.shape(), data);
    }

    private TensorView merge(TensorView weight, Adapter adapter) {
        DType dtype = weight.dtype() == DType.BF16 ? DType.BF16 : DType.F32;
        int rank = (int) adapter.down().shape().dims()[0];
        int rows = (int) weight.shape().dims()[0];
        int columns = (int) (weight.shape().size() / rows);
        float[] down = factor(adapter.down(), dtype);
        float[] up = factor(adapter.up(), dtype);
        float[] base = weight.toFloats();
        float scale = (float) adapter.scale();
        MemorySegment data = arena.allocate(dtype.bytes(weight.shape().size()), Long.BYTES);
        IntStream.range(0, rows).parallel().forEach(row -> {
            float[] product = new float[columns];
            for (int r = 0; r < rank; r++) {
                float b = up[row * rank + r];
                for (int i = 0; i < columns; i++) {
                    product[i] += b * down[r * columns + i];
                }
            }
            for (int i = 0; i < columns; i++) {
                float delta = product[i] * scale;
                float sum = base[row * columns + i] + (dtype == DType.BF16 ? HalfFormat.BF16.round(delta) : delta);
                product[i] = sum; // rounded to the type as it is stored
            }
            MemorySegment target = data.asSlice(dtype.bytes((long) row * columns), dtype.bytes(columns));
            FloatBytes.put(dtype, product, 0, columns, target.asByteBuffer());
        });
        return new TensorView(weight.name(), dtype, weight.shape(), data);
    }

    private static float[] factor(TensorView view, DType dtype) {
        float[] values = view.toFloats();
        for (int i = 0; dtype == DType.BF16 && i < values.length; i++) {
            values[i] = HalfFormat.BF16.round(values[i]);
        }
        return values;
    }

    @Override
    public Set<String> names() {
        return base.names();
    }

    @Override
    public Map<String, String> metadata() {
        return base.metadata();
    }

    @Override
    public Path path() {
        return base.path();
    }

    @Override
    public void close() {
        try {
            base.close();
        } finally {
            file.close();
            arena.close();
        }
    }
}
