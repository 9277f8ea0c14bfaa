package wan.weights;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.file.Messages;
import wan.file.OutputFile;
import wan.file.SafetensorsWriter;
import wan.file.TensorStore;
import wan.op.DType;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/** Writes any store of tensors as safetensors, piece by piece: as one file, or as shards with an index. */
public final class Converter {
    private static final int CHUNK_ELEMENTS = 1 << 20;
    private static final long CHUNK_BYTES = 1 << 24;
    private static final long HEADER_BYTES_PER_TENSOR = 160;
    private static final long SPARE_DISK_BYTES = 64L << 20;
    private static final String SUFFIX = ".safetensors";
    private static final Set<DType> REAL =
            EnumSet.of(DType.F64, DType.F32, DType.F16, DType.BF16, DType.F8_E4M3, DType.F8_E5M2);

    private final TensorStore store;
    private final @Nullable DType dtype;
    private final Map<String, String> metadata;
    private final List<List<String>> shards;
    private final Path target;

    /** Told how far it is, from the calling thread. */
    @FunctionalInterface
    public interface Progress {
        /** So many bytes of all are written. */
        void written(long doneBytes, long totalBytes);
    }

    /**
     * Plans a conversion; nothing is written.
     *
     * @param store what to write, under its names
     * @param target the file, ending in {@code .safetensors}; shards are numbered before that ending
     * @param dtype F32, BF16 or F16 for all real numbers, rounded to nearest even; null to keep each type
     * @param maxShardBytes of data in one file; a tensor is never split
     * @param metadata for every file
     */
    public Converter(
            TensorStore store, Path target, @Nullable DType dtype, long maxShardBytes, Map<String, String> metadata) {
        this.store = store;
        this.target = target;
        this.dtype = dtype;
        this.metadata = metadata;
        this.shards = plan(maxShardBytes);
    }

    /** The files that {@link #write} makes, the last of which says that all are there. */
    public List<Path> files() {
        if (shards.size() == 1) {
            return List.of(target);
        }
        List<Path> files = new ArrayList<>();
        String name = String.valueOf(target.getFileName());
        String stem = name.substring(0, name.length() - SUFFIX.length());
        for (int i = 1; i <= shards.size(); i++) {
            files.add(target.resolveSibling(
                    String.format(Locale.ROOT, "%s-%05d-of-%05d%s", stem, i, shards.size(), SUFFIX)));
        }
        files.add(target.resolveSibling(name + ".index.json"));
        return files;
    }

    /** Bytes of data in all files. */
    public long totalBytes() {
        return store.names().stream().mapToLong(this::sizeBytes).sum();
    }

    /** Wide types first, so that every tensor is aligned to its elements; otherwise in the order of the store. */
    private List<List<String>> plan(long maxShardBytes) {
        List<List<String>> plan = new ArrayList<>();
        List<String> shard = new ArrayList<>();
        long bytes = 0;
        for (String name : store.names()) {
            long size = sizeBytes(name);
            if (!shard.isEmpty() && size > maxShardBytes - bytes) {
                plan.add(shard);
                shard = new ArrayList<>();
                bytes = 0;
            }
            shard.add(name);
            bytes += size;
        }
        plan.add(shard);
        Comparator<String> wideFirst =
                Comparator.comparingInt(name -> -stored(store.tensor(name)).bits());
        plan.forEach(names -> names.sort(wideFirst));
        return plan;
    }

    private DType stored(TensorView view) {
        return dtype != null && REAL.contains(view.dtype()) ? dtype : view.dtype();
    }

    private long sizeBytes(String name) {
        TensorView view = store.tensor(name);
        return stored(view).bytes(view.shape().size());
    }

    /**
     * Writes all files. Each is moved into place when it is whole, the index last.
     *
     * @throws WanException if they cannot be written, the disk lacks the space, or a value is beyond what the type can hold
     */
    public void write(Progress progress) {
        if (shards.size() > 1) {
            // A file that is in place would stay there when a later one is refused.
            shards.stream().flatMap(List::stream).map(store::tensor).forEach(this::requireRange);
        }
        long totalBytes = totalBytes();
        OutputFile.requireSpace(target.toAbsolutePath().resolveSibling(""), totalBytes + SPARE_DISK_BYTES);
        List<Path> files = files();
        long doneBytes = 0;
        for (int i = 0; i < shards.size(); i++) {
            long before = doneBytes;
            doneBytes += writeShard(files.get(i), shards.get(i), done -> progress.written(before + done, totalBytes));
        }
        if (shards.size() > 1) {
            byte[] index = index(files, totalBytes);
            OutputFile.write(files.getLast(), out -> out.write(index));
        }
    }

    /** Told how many bytes of one file are written. */
    @FunctionalInterface
    private interface ShardProgress {
        void written(long doneBytes);
    }

    private long writeShard(Path file, List<String> names, ShardProgress progress) {
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, names.size() * HEADER_BYTES_PER_TENSOR)) {
            for (String name : names) {
                TensorView view = store.tensor(name);
                copy(view, writer.add(name, stored(view), view.shape()));
                progress.written(writer.dataBytes());
            }
            writer.finish(metadata);
            return writer.dataBytes();
        }
    }

    private void copy(TensorView view, SafetensorsWriter.Region region) {
        if (region.dtype() == view.dtype()) {
            for (long at = 0; at < view.data().byteSize(); at += CHUNK_BYTES) {
                region.write(
                        at,
                        view.data()
                                .asSlice(at, Math.min(CHUNK_BYTES, view.data().byteSize() - at)));
            }
            return;
        }
        chunks(view, (first, part) -> region.write(first, inRange(view, first, part.toFloats(), region.dtype())));
    }

    /** Told of each part of a tensor, from several threads. */
    @FunctionalInterface
    private interface ChunkAction {
        void accept(long first, TensorView part);
    }

    private static void chunks(TensorView view, ChunkAction action) {
        long elements = view.shape().size();
        DType from = view.dtype();
        LongStream.range(0, Math.ceilDiv(elements, CHUNK_ELEMENTS)).parallel().forEach(chunk -> {
            long first = chunk * CHUNK_ELEMENTS;
            long count = Math.min(CHUNK_ELEMENTS, elements - first);
            action.accept(
                    first,
                    new TensorView(
                            view.name(),
                            from,
                            Shape.of(count),
                            view.data().asSlice(from.bytes(first), from.bytes(count))));
        });
    }

    private void requireRange(TensorView view) {
        DType to = stored(view);
        if (to != view.dtype()) {
            chunks(view, (first, part) -> inRange(view, first, part.toFloats(), to));
        }
    }

    /** The values, of which none that is finite may become infinite. */
    private float[] inRange(TensorView view, long first, float[] values, DType to) {
        // What rounds to the largest float16, or bfloat16, is below the middle between it and the next power of two.
        float most = to == DType.F16 ? 65520f : to == DType.BF16 ? 0x1.ffp127f : Float.POSITIVE_INFINITY;
        for (int i = 0; i < values.length; i++) {
            boolean lost = view.dtype() == DType.F64 && Float.isInfinite(values[i]) && isFinite(view, first + i);
            if (lost || (Math.abs(values[i]) >= most && !Float.isInfinite(values[i]))) {
                throw WanException.mismatch(
                        store.path() + ": " + Messages.shown(view.name()),
                        "values that " + to + " can hold, at most " + (to == DType.F16 ? "65504" : "3.4e38"),
                        lost ? "one beyond float32" : values[i] + " at element " + (first + i),
                        to == DType.F16 ? "bf16 and f32 can hold it" : "keep its type");
            }
        }
        return values;
    }

    private static boolean isFinite(TensorView view, long index) {
        TensorView one = new TensorView(
                view.name(),
                view.dtype(),
                Shape.of(1),
                view.data().asSlice(view.dtype().bytes(index), Double.BYTES));
        return Double.isFinite(one.toDoubles()[0]);
    }

    private byte[] index(List<Path> files, long totalBytes) {
        ObjectNode root = new JsonMapper().createObjectNode();
        root.putObject("metadata").put("total_size", totalBytes);
        ObjectNode map = root.putObject("weight_map");
        for (int i = 0; i < shards.size(); i++) {
            String file = String.valueOf(files.get(i).getFileName());
            shards.get(i).forEach(name -> map.put(name, file));
        }
        return (root.toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8);
    }
}
