package capture.analysis;

import capture.ResultSchema;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;
import wan.file.FileKind;
import wan.file.Messages;
import wan.file.TensorStore;
import wan.file.TorchStore;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * Reads files of the reference's extraction script, one {@code layer{l}.pt} or a folder of them, as the tensors and
 * metadata of a result.
 *
 * <p>The script keeps one pass of each frame block, called {@code block{i}.step0} here. A frame block whose rows are all zero is one
 * whose cache had lost frames: the script found no rows for it, so it has none.
 */
public final class ScriptFiles implements TensorStore {
    private static final String MATRIX = "full_frame_attention";
    private static final int MOST_FRAMES = 10_000;

    private final Path path;
    private final SequencedMap<String, TensorView> tensors;
    private final Map<String, String> metadata;

    private ScriptFiles(Path path, SequencedMap<String, TensorView> tensors, Map<String, String> metadata) {
        this.path = path;
        this.tensors = tensors;
        this.metadata = metadata;
    }

    /** Whether a path is a folder of such files. */
    public static boolean isFolder(Path path) {
        return Files.isRegularFile(path.resolve("layer0.pt"))
                || (Files.isDirectory(path) && !list(path).isEmpty());
    }

    /** Whether a path means such files: a folder, or a file of PyTorch. */
    static boolean is(Path path) {
        return Files.isDirectory(path) || (Files.isRegularFile(path) && FileKind.of(path) == FileKind.TORCH);
    }

    /**
     * Reads the matrices; they are small.
     *
     * @throws FormatException if there are none, or the layers are of different runs
     */
    public static ScriptFiles open(Path path) {
        List<Layer> layers = new ArrayList<>();
        for (Path file : files(path)) {
            layers.add(Layer.read(file));
        }
        Layer first = layers.getFirst();
        SequencedMap<String, TensorView> tensors = new LinkedHashMap<>();
        List<Integer> indices = new ArrayList<>();
        for (Layer layer : layers) {
            if (!layer.sameRun(first) || indices.contains(layer.index)) {
                throw new FormatException(
                        layer.file,
                        "expected a layer of the run of " + first.file.getFileName() + ", got "
                                + (indices.contains(layer.index)
                                        ? "layer " + layer.index + " again"
                                        : "other frames, heads or frame blocks"));
            }
            indices.add(layer.index);
            layer.addTo(tensors);
        }
        return new ScriptFiles(path, tensors, first.metadata(indices));
    }

    private static List<Path> files(Path path) {
        if (!Files.isDirectory(path)) {
            return List.of(path);
        }
        List<Path> files = list(path);
        if (files.isEmpty()) {
            throw new WanException(path + ": expected a result, or a folder with layer0.pt, layer1.pt, ... of the"
                    + " reference's script, got a folder without them");
        }
        return files;
    }

    private static List<Path> list(Path folder) {
        try (Stream<Path> inside = Files.list(folder)) {
            return inside.filter(file -> String.valueOf(file.getFileName()).matches("layer\\d{1,4}\\.pt"))
                    .sorted(Comparator.comparingInt(ScriptFiles::number))
                    .toList();
        } catch (IOException e) {
            throw Messages.io(folder, "cannot read", e);
        }
    }

    private static int number(Path file) {
        return Integer.parseInt(String.valueOf(file.getFileName()).replaceAll("\\D", ""));
    }

    /** One file. Values are [N, T, T]. */
    @SuppressWarnings("ArrayRecordComponent") // compared by nobody
    private record Layer(
            Path file,
            int index,
            int heads,
            int frames,
            int tokens,
            List<Integer> blocks,
            String prompt,
            String run,
            float[] all) {
        static Layer read(Path file) {
            try (TorchStore store = TorchStore.open(file)) {
                if (!(store.values() instanceof Map<?, ?> values)
                        || !store.names().contains(MATRIX)) {
                    throw new FormatException(
                            file,
                            "expected what the reference's extraction script saves, a dict with " + MATRIX
                                    + "; not a result of extract?");
                }
                TensorView matrix = store.tensor(MATRIX);
                long[] dims = matrix.shape().dims();
                if (dims.length != 3 || dims[1] != dims[2] || dims[1] < 1 || dims[1] > MOST_FRAMES || dims[0] < 1) {
                    throw new FormatException(
                            file, MATRIX + ": expected [heads, frames, frames], got " + matrix.shape());
                }
                int frames = (int) dims[1];
                List<Integer> blocks = new ArrayList<>();
                if (values.get("block_sizes") instanceof List<?> sizes) {
                    for (Object size : sizes) {
                        blocks.add(integer(file, "block_sizes", size, 1, frames));
                    }
                }
                if (blocks.stream().mapToInt(Integer::intValue).sum() != frames) {
                    throw new FormatException(
                            file,
                            "block_sizes: expected frames that add up to " + frames + ", got "
                                    + Messages.shown(String.valueOf(values.get("block_sizes"))));
                }
                float[] all = matrix.toFloats();
                return new Layer(
                        file,
                        integer(file, "layer_index", values.get("layer_index"), 0, MOST_FRAMES),
                        (int) dims[0],
                        frames,
                        integer(file, "frame_seq_length", values.get("frame_seq_length"), 1, 1 << 24),
                        blocks,
                        values.get("prompt") instanceof String text ? text : "-",
                        values.get("run") instanceof String text ? text : "complete",
                        all);
            }
        }

        private static int integer(Path file, String key, @Nullable Object value, int least, int most) {
            if (!(value instanceof Number number) || number.longValue() < least || number.longValue() > most) {
                throw new FormatException(
                        file,
                        key + ": expected a number from " + least + " to " + most + ", got "
                                + Messages.shown(String.valueOf(value)));
            }
            return number.intValue();
        }

        boolean sameRun(Layer other) {
            return heads == other.heads
                    && frames == other.frames
                    && tokens == other.tokens
                    && blocks.equals(other.blocks)
                    && prompt.equals(other.prompt);
        }

        void addTo(SequencedMap<String, TensorView> tensors) {
            int first = 0;
            for (int block = 0; block < blocks.size(); block++) {
                int count = blocks.get(block);
                int keys = first + count;
                float[] values = new float[heads * count * keys];
                boolean captured = false;
                for (int i = 0; i < values.length; i++) {
                    int row = i / keys;
                    values[i] = all[(row / count * frames + first + row % count) * frames + i % keys];
                    captured |= values[i] != 0;
                }
                if (captured) {
                    String name = "block" + block + ".step0.layer" + index + ".frame_logits";
                    tensors.put(
                            name,
                            new TensorView(
                                    name,
                                    DType.F32,
                                    Shape.of(1, heads, count, keys),
                                    MemorySegment.ofArray(bytes(values))));
                }
                first = keys;
            }
        }

        private static byte[] bytes(float[] values) {
            byte[] bytes = new byte[4 * values.length];
            MemorySegment.copy(MemorySegment.ofArray(values), 0, MemorySegment.ofArray(bytes), 0, bytes.length);
            return bytes;
        }

        Map<String, String> metadata(List<Integer> layers) {
            JsonMapper json = JsonMapper.shared();
            List<Map<String, Object>> passes = new ArrayList<>();
            int start = 0;
            for (int block = 0; block < blocks.size(); block++) {
                int count = blocks.get(block);
                passes.add(Map.of(
                        "name",
                        "block" + block + ".step0",
                        "first_frame",
                        start,
                        "frames",
                        count,
                        "timestep",
                        1000,
                        "key_frames",
                        IntStream.range(0, start + count).boxed().toList()));
                start += count;
            }
            SequencedMap<String, String> out = new LinkedHashMap<>();
            out.put("schema_version", String.valueOf(ResultSchema.VERSION));
            out.put("prompt", prompt);
            out.put("num_frames", String.valueOf(frames));
            out.put("frame_seq_length", String.valueOf(tokens));
            out.put("block_sizes", json.writeValueAsString(blocks));
            out.put("layers", json.writeValueAsString(layers));
            out.put(
                    "heads",
                    json.writeValueAsString(IntStream.range(0, heads).boxed().toList()));
            int numLayers = Collections.max(layers) + 1;
            out.put("model_config", json.writeValueAsString(Map.of("num_heads", heads, "num_layers", numLayers)));
            out.put("latent_size", json.writeValueAsString(List.of(2 * rows(), 2 * (tokens / rows()))));
            out.put("model", "(not said: saved by the reference's extraction script)");
            out.put("run", run);
            out.put("passes", json.writeValueAsString(passes));
            return out;
        }

        /** Rows of a frame's tokens, which the script does not say: the divisor whose frame is nearest to the usual 30 x 52. */
        private int rows() {
            int best = 1;
            for (int rows = 1; rows <= tokens / rows; rows++) {
                if (tokens % rows == 0
                        && Math.abs(Math.log(52.0 / 30 * rows * rows / tokens))
                                < Math.abs(Math.log(52.0 / 30 * best * best / tokens))) {
                    best = rows;
                }
            }
            return best;
        }
    }

    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(tensors.keySet());
    }

    @Override
    public TensorView tensor(String name) {
        TensorView view = tensors.get(name);
        if (view == null) {
            throw new WanException(path + ": no tensor " + Messages.shown(name));
        }
        return view;
    }

    @Override
    public Map<String, String> metadata() {
        return metadata;
    }

    @Override
    public Path path() {
        return path;
    }

    /** Nothing is held open. */
    @Override
    public void close() {}
}
