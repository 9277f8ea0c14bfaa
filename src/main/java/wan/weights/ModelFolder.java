package wan.weights;

import java.io.IOException;
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
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import wan.model.WanConfig;
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
 * <p>All names, shapes and types are checked when it is opened; a model that opens has every parameter.
 */
public final class ModelFolder implements WeightSource, AutoCloseable {
    private static final String CONFIG = "config.json";
    /** The key of the configuration in a file's own metadata. */
    private static final String CONFIG_KEY = "config";

    private static final List<String> WEIGHTS = List.of(
            "diffusion_pytorch_model.safetensors.index.json",
            "diffusion_pytorch_model.safetensors",
            "model.safetensors.index.json",
            "model.safetensors");
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

    /**
     * Opens and checks a model.
     *
     * @param path a folder, or one file of weights
     * @throws WanException if it cannot be read
     * @throws FormatException with everything that is wrong with it
     */
    public static ModelFolder open(Path path) {
        TensorStore store = TensorStore.open(Files.isDirectory(path) ? weightsFile(path) : path);
        try {
            return of(path, configOf(store), store);
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
            TensorView view = store.tensor(name);
            shapes.put(name, view.shape());
            if (!STORED.contains(view.dtype())) {
                unusable.add(Messages.shown(name) + " (" + view.dtype() + ")");
            }
        }
        ParameterCheck.require(store.path(), config, shapes);
        if (!unusable.isEmpty()) {
            throw new FormatException(
                    store.path(),
                    unusable.size() + " tensors are stored as a type that parameters cannot have, expected one of "
                            + STORED + ": " + unusable.getFirst() + (unusable.size() > 1 ? ", ..." : ""));
        }
        return new ModelFolder(path, config, store);
    }

    /**
     * The file of weights in a folder: under one of the usual names, or the only safetensors file there.
     *
     * @throws WanException if there is none, or it cannot be told which
     */
    public static Path weightsFile(Path folder) {
        for (String name : WEIGHTS) {
            if (Files.exists(folder.resolve(name))) {
                return folder.resolve(name);
            }
        }
        List<Path> files;
        try (Stream<Path> list = Files.list(folder)) {
            files = list.sorted().toList();
        } catch (IOException e) {
            throw Messages.io(folder, "cannot read", e);
        }
        List<Path> candidates = files.stream()
                .filter(file -> file.toString().endsWith(".safetensors"))
                .toList();
        if (candidates.size() == 1) {
            return candidates.getFirst();
        }
        String found = String.join(
                ", ",
                files.stream()
                        .limit(8)
                        .map(file -> file.getFileName().toString())
                        .toList());
        throw new WanException(folder + ": no weights: expected " + WEIGHTS.get(1) + " or " + WEIGHTS.getFirst()
                + ", found " + (files.isEmpty() ? "an empty folder" : Messages.shown(found)));
    }

    /** A file's own word on its configuration, or else that of the config.json beside it. */
    private static WanConfig configOf(TensorStore store) {
        String own = store.metadata().get(CONFIG_KEY);
        if (own != null) {
            return ConfigJson.parse(
                    store.path() + ": " + CONFIG_KEY + " in its metadata", own.getBytes(StandardCharsets.UTF_8));
        }
        Path beside = store.path().resolveSibling(CONFIG);
        if (!Files.exists(beside)) {
            throw new WanException(store.path() + ": the sizes of the model are unknown: neither a " + CONFIG
                    + " beside it nor a configuration in its metadata");
        }
        return ConfigJson.read(beside);
    }

    /** The model's sizes. */
    public WanConfig config() {
        return config;
    }

    /** What was opened. */
    public Path path() {
        return path;
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
     * bytes, so that it costs milliseconds whatever the size. The same parameters in other files give the same fingerprint.
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
        return HexFormat.of().formatHex(digest.digest());
    }

    @Override
    public void close() {
        store.close();
    }
}
