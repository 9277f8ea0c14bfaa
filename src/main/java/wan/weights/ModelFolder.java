package wan.weights;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import wan.file.Contents;
import wan.file.FileKind;
import wan.file.Messages;
import wan.file.TensorFiles;
import wan.file.TensorStore;
import wan.file.Zeros;
import wan.model.WanConfig;
import wan.model.WanParameters;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;
import wan.op.WeightSource;

/**
 * A model as Wan2.1 ships it: a folder with {@code config.json} and {@code diffusion_pytorch_model.safetensors} (or its index and
 * shards), or a single file that carries its configuration in its metadata or has it beside it.
 *
 * <p>Other layouts are read as if they were that one: a Self-Forcing checkpoint, Diffusers, ComfyUI, .pt instead of .safetensors.
 *
 * <p>All names, shapes and types are checked when it is opened; a model that opens has every parameter.
 */
public final class ModelFolder implements WeightSource, AutoCloseable {
    private static final String CONFIG = "config.json";
    /** Where a Diffusers pipeline keeps this model. */
    private static final String DIFFUSERS_FOLDER = "transformer";
    /** The key of the configuration in a file's own metadata. */
    public static final String CONFIG_KEY = "config";

    private static final TensorFiles FILES = new TensorFiles(
            Contents.TRANSFORMER,
            List.of(
                    "diffusion_pytorch_model.safetensors",
                    "diffusion_pytorch_model.safetensors.index.json",
                    "model.safetensors.index.json",
                    "model.safetensors"),
            List.of(DIFFUSERS_FOLDER));
    private static final Set<DType> STORED = EnumSet.of(DType.F32, DType.F16, DType.BF16);
    private static final int SAMPLE_BYTES = 4096;
    private static final int SAMPLES = 4;

    private final Path path;
    private final WanConfig config;
    private final TensorStore store;

    private ModelFolder(Path path, WanConfig config, TensorStore store) {
        this.path = path;
        this.config = config;
        this.store = store;
    }

    /** {@link #open(Path, Path, ModelLayout.Branch)} without a checkpoint. */
    public static ModelFolder open(Path path) {
        return open(path, null, ModelLayout.Branch.EMA_OR_GENERATOR);
    }

    /**
     * Opens and checks a model. Its layout may be any that {@link ModelLayout} knows.
     *
     * @param path a folder, also that of a Diffusers pipeline; or one file of weights
     * @param checkpoint weights to take instead of the model's own, which then only gives the configuration; null for none
     * @param branch which of a Self-Forcing checkpoint's weights
     * @throws WanException if it cannot be read
     * @throws FormatException with everything that is wrong with it
     */
    public static ModelFolder open(Path path, @Nullable Path checkpoint, ModelLayout.Branch branch) {
        return open(path, checkpoint, branch, List.of());
    }

    /** As the other, with low-rank adapters merged into the weights, one after the other. */
    public static ModelFolder open(Path path, @Nullable Path checkpoint, ModelLayout.Branch branch, List<Lora> loras) {
        if (checkpoint != null) {
            WanConfig config = configOf(path);
            return open(path, layout(checkpoint, branch), loras, _ -> config);
        }
        return open(
                path,
                layout(path, branch),
                loras,
                // A trainer's checkpoint may lie in a folder below the one with the configuration.
                store -> configuration(store)
                        .or(() -> configFile(path).map(ConfigJson::read))
                        .orElseThrow(() -> unknownSizes(store)));
    }

    private static ModelLayout layout(Path file, ModelLayout.Branch branch) {
        TensorStore store = FILES.open(file);
        try {
            if (FileKind.of(store.path()) == FileKind.NUMPY && Contents.of(store.names()) != Contents.TRANSFORMER) {
                throw new FormatException(
                        store.path(),
                        "expected weights, got a NumPy file without their names; weights come as .safetensors, .pt or"
                                + " .pth");
            }
            return ModelLayout.of(store, branch);
        } catch (RuntimeException e) {
            store.close();
            throw e;
        }
    }

    private static ModelFolder open(
            Path path, ModelLayout layout, List<Lora> loras, Function<TensorStore, WanConfig> config) {
        TensorStore store = layout;
        try {
            WanConfig sizes = config.apply(layout);
            for (Lora lora : loras) {
                store = LoraStore.open(store, lora.file(), lora.strength(), lora.alpha());
            }
            return of(path, sizes, store);
        } catch (RuntimeException e) {
            store.close();
            throw e;
        }
    }

    /**
     * A model whose tensors and configuration were found elsewhere.
     *
     * @param path for messages
     * @param store under the original names; closed with the model
     */
    public static ModelFolder of(Path path, WanConfig config, TensorStore store) {
        Map<String, Shape> shapes = new LinkedHashMap<>();
        List<String> unusable = new ArrayList<>();
        for (String name : store.names()) {
            TensorView view = unmerged(store).tensor(name);
            shapes.put(name, view.shape());
            if (!STORED.contains(view.dtype())) {
                unusable.add(Messages.shown(name) + " (" + view.dtype() + ")");
            }
        }
        Unsupported.refuse(store.path(), shapes);
        WanConfig sizes = withImage(config, shapes);
        requireReadable(store, sizes, shapes);
        ParameterCheck.require(store.path(), sizes, shapes);
        if (!unusable.isEmpty()) {
            throw new FormatException(
                    store.path(),
                    unusable.size() + " tensors are stored as a type that parameters cannot have, expected one of "
                            + STORED + ": " + unusable.getFirst() + (unusable.size() > 1 ? ", ..." : ""));
        }
        return new ModelFolder(path, sizes, store);
    }

    /** A parameter may lie in a PyTorch file as something that is no plain tensor. */
    private static void requireReadable(TensorStore store, WanConfig config, Map<String, Shape> present) {
        Map<String, String> unreadable = store.unreadable();
        for (String name : unreadable.isEmpty()
                ? List.<String>of()
                : WanParameters.shapes(config).keySet()) {
            unreadable.forEach((path, what) -> {
                if (!present.containsKey(name) && ("." + path.replace('/', '.')).endsWith("." + name)) {
                    throw new FormatException(
                            store.path(),
                            Messages.shown(path) + " is " + what + ", expected a tensor; save it again as one");
                }
            });
        }
    }

    /** A model's tensors say whether it attends to a picture's tokens, and of how many features; its configuration need not. */
    private static WanConfig withImage(WanConfig config, Map<String, Shape> shapes) {
        Shape norm = shapes.get("img_emb.proj.0.weight");
        Shape positions = shapes.get("img_emb.emb_pos");
        return norm == null
                ? config
                : config.withImage(norm.intSize(), positions == null || positions.rank() != 3 ? 0 : positions.dim(1));
    }

    /**
     * Opens what a path means, as it is stored: a file, an index, one of several shards; of a folder the usual names, a file in
     * Diffusers' or a trainer's subfolder, what Hugging Face's cache holds, or the only file that holds a transformer.
     *
     * @throws WanException if there is none, or it cannot be told which
     */
    public static TensorStore weights(Path path) {
        return FILES.open(path);
    }

    /** The configuration of a model whose weights do not matter and may not even be there. */
    private static WanConfig configOf(Path path) {
        Optional<Path> file = Files.isDirectory(path) ? configFile(path) : Optional.empty();
        if (file.isPresent()) {
            return ConfigJson.read(file.get());
        }
        try (TensorStore store = weights(path)) {
            return configuration(store).orElseThrow(() -> unknownSizes(store));
        }
    }

    /** The configuration in a model's folder, or beside its file. */
    private static Optional<Path> configFile(Path path) {
        Path root = Files.isDirectory(path)
                ? TensorFiles.snapshot(path)
                : path.toAbsolutePath().resolveSibling("");
        return Stream.of(root, root.resolve(DIFFUSERS_FOLDER))
                .map(folder -> folder.resolve(CONFIG))
                .filter(Files::exists)
                .findFirst();
    }

    /**
     * The sliding window that the configuration in a model's folder, or beside its file, asks for; empty if it names none.
     *
     * @throws WanException if it cannot be read
     */
    public static Optional<ConfigJson.Window> window(Path path) {
        return configFile(path).flatMap(ConfigJson::window);
    }

    private static WanException unknownSizes(TensorStore store) {
        return new WanException(store.path() + ": the sizes of the model are unknown: neither a " + CONFIG
                + " beside it nor a configuration in its metadata; a fine-tuned model's file goes into model.checkpoint,"
                + " and the folder of its base model into model.path");
    }

    /**
     * A file's own word on its configuration, or else that of the config.json beside it.
     *
     * @throws WanException if it is broken, or describes a model that this one is not
     */
    public static Optional<WanConfig> configuration(TensorStore store) {
        String own = store.metadata().get(CONFIG_KEY);
        if (own != null) {
            return Optional.of(ConfigJson.parse(
                    store.path() + ": " + CONFIG_KEY + " in its metadata", own.getBytes(StandardCharsets.UTF_8)));
        }
        Path beside = store.path().resolveSibling(CONFIG);
        return Files.exists(beside) ? Optional.of(ConfigJson.read(beside)) : Optional.empty();
    }

    /** The model's sizes. */
    public WanConfig config() {
        return config;
    }

    /** What was opened. */
    public Path path() {
        return path;
    }

    /** What the layout of its weights was recognised as, and where they lie, for people. */
    public String description() {
        return store.path() + ": "
                + layout().map(ModelLayout::description).orElse("original names")
                + loras().stream().map(lora -> "; " + lora.description()).collect(Collectors.joining());
    }

    /** What a user should know, one line each; usually nothing. */
    public List<String> notices() {
        List<String> notices =
                new ArrayList<>(layout().map(ModelLayout::notices).orElse(List.of()));
        loras().forEach(lora -> notices.add(lora.description()));
        return notices;
    }

    /**
     * The stored parameters that hold zeros where trained ones have none. Reads all of them.
     *
     * @param layers how many, from the first one on
     * @return for people, empty if there are none
     */
    public Optional<String> zeros(int layers) {
        TensorStore stored = stored();
        List<String> names = stored.names().stream()
                .filter(name -> WanParameters.layerOf(name) < layers)
                .toList();
        List<String> zeros = Zeros.in(stored, names, Set.of());
        return zeros.isEmpty()
                ? Optional.empty()
                : Optional.of(stored.path() + ": " + Zeros.describe(zeros, names.size()));
    }

    private static TensorStore unmerged(TensorStore store) {
        TensorStore base = store;
        while (base instanceof LoraStore lora) {
            base = lora.base();
        }
        return base;
    }

    /** The adapters, the last one first. */
    private List<LoraStore> loras() {
        List<LoraStore> all = new ArrayList<>();
        for (TensorStore each = store; each instanceof LoraStore lora; each = lora.base()) {
            all.add(lora);
        }
        return all;
    }

    /** What the parameters are stored as, without adapters. */
    private TensorStore stored() {
        return unmerged(store);
    }

    private Optional<ModelLayout> layout() {
        return stored() instanceof ModelLayout layout ? Optional.of(layout) : Optional.empty();
    }

    @Override
    public TensorView get(String name, Shape expected) {
        TensorView view = store.tensor(name);
        if (!view.shape().equals(expected)) {
            throw WanException.mismatch(
                    store.path() + ": " + name,
                    expected,
                    view.shape(),
                    ParameterCheck.isTransposed(expected, view.shape()) ? "transposed checkpoint?" : "");
        }
        return view;
    }

    /**
     * Tells models apart by content: SHA-256 over the configuration, and of each parameter its name, type, shape and a sample of its
     * bytes, so that it costs little whatever the size. The same parameters in other files give the same fingerprint.
     *
     * @return 64 hexadecimal digits
     */
    public String fingerprint() {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
        digest.update(config.toString().getBytes(StandardCharsets.UTF_8));
        sample(stored(), digest);
        for (LoraStore lora : loras()) {
            digest.update(lora.description().getBytes(StandardCharsets.UTF_8));
            sample(lora.file(), digest);
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static void sample(TensorStore store, MessageDigest digest) {
        for (String name : new TreeSet<>(store.names())) {
            TensorView view = store.tensor(name);
            digest.update((name + view.dtype() + view.shape()).getBytes(StandardCharsets.UTF_8));
            long bytes = view.data().byteSize();
            long sampleBytes = Math.min(SAMPLE_BYTES, bytes);
            for (int i = 0; i < SAMPLES; i++) {
                // Spread from the first byte to the last.
                long at = (bytes - sampleBytes) / (SAMPLES - 1) * i;
                digest.update(view.data().asSlice(at, sampleBytes).asByteBuffer());
            }
        }
    }

    @Override
    public void close() {
        store.close();
    }
}
