package wan.weights;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.SequencedMap;
import java.util.stream.LongStream;
import wan.file.FloatBytes;
import wan.file.Messages;
import wan.file.OutputFile;
import wan.file.SafetensorsWriter;
import wan.model.WanConfig;
import wan.model.WanParameters;
import wan.op.DType;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;
import wan.op.WeightSource;

/**
 * Models with random parameters, for demonstrations, tests and benchmarks without a checkpoint.
 *
 * <p>Every value is a function of seed, parameter name and index in integer arithmetic, so a model is the same on every machine, in
 * a file or in memory, and whatever the number of threads. The scales keep activations of order one through any depth and the
 * logits' standard deviation a little above one: q and k are normalised, so that follows from the norms' weights.
 */
public final class RandomModel {
    private static final int CHUNK_ELEMENTS = 1 << 18;
    private static final int HEADER_BYTES_PER_TENSOR = 160;
    private static final long SPARE_DISK_BYTES = 64L << 20;
    private static final long GOLDEN_RATIO = 0x9E3779B97F4A7C15L;

    private RandomModel() {}

    /** Told how far a model is written, from the calling thread. */
    @FunctionalInterface
    public interface Progress {
        /** So many bytes of all are written. */
        void written(long doneBytes, long totalBytes);
    }

    /** A model that runs in seconds anywhere, with as many heads as Wan2.1-T2V-1.3B: dim 192, 12 heads, 6 layers. */
    public static WanConfig tiny() {
        return new WanConfig(192, 512, 64, 16, 16, 12, 6, 64, 32, 1e-6f);
    }

    /**
     * Writes a folder that {@link ModelFolder} opens; what it held under the same names is replaced once all is written.
     *
     * @param folder made if need be
     * @param dtype F32, BF16 or F16
     * @throws WanException if it cannot be written, or the disk lacks the space
     */
    public static void write(Path folder, WanConfig config, DType dtype, long seed, Progress progress) {
        SequencedMap<String, Shape> shapes = WanParameters.shapes(config);
        long totalBytes = shapes.values().stream()
                .mapToLong(shape -> dtype.bytes(shape.size()))
                .sum();
        OutputFile.requireSpace(folder, totalBytes + SPARE_DISK_BYTES);
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw Messages.io(folder, "cannot write", e);
        }
        Path weights = folder.resolve("diffusion_pytorch_model.safetensors");
        try (SafetensorsWriter writer =
                SafetensorsWriter.create(weights, (long) shapes.size() * HEADER_BYTES_PER_TENSOR)) {
            shapes.forEach((name, shape) -> {
                SafetensorsWriter.Region region = writer.add(name, dtype, shape);
                Draw draw = Draw.of(config, seed, name, shape);
                LongStream.range(0, Math.ceilDiv(shape.size(), CHUNK_ELEMENTS))
                        .parallel()
                        .forEach(chunk -> {
                            long first = chunk * CHUNK_ELEMENTS;
                            region.write(first, draw.values(first, (int)
                                    Math.min(CHUNK_ELEMENTS, shape.size() - first)));
                        });
                progress.written(writer.dataBytes(), totalBytes);
            });
            writer.finish(Map.of("format", "pt"));
        }
        byte[] json = ConfigJson.write(config);
        OutputFile.write(folder.resolve("config.json"), out -> out.write(json));
    }

    /**
     * The same parameters in memory, as float32: each is drawn when it is asked for.
     *
     * @param arena what is asked for lies there
     */
    public static WeightSource inMemory(WanConfig config, long seed, Arena arena) {
        return inMemory(config, DType.F32, seed, arena);
    }

    /**
     * The same parameters in memory, stored as another type.
     *
     * @param dtype F32, BF16 or F16
     * @param arena what is asked for lies there
     */
    public static WeightSource inMemory(WanConfig config, DType dtype, long seed, Arena arena) {
        SequencedMap<String, Shape> shapes = WanParameters.shapes(config);
        return (name, expected) -> {
            Shape shape = shapes.get(name);
            if (shape == null) {
                throw new WanException("random model: no parameter " + name);
            }
            if (!shape.equals(expected)) {
                throw WanException.mismatch("random model, " + name, expected, shape, "");
            }
            MemorySegment data = arena.allocate(dtype.bytes(expected.size()), Float.BYTES);
            Draw draw = Draw.of(config, seed, name, expected);
            for (long first = 0; first < expected.size(); first += CHUNK_ELEMENTS) {
                float[] values = draw.values(first, (int) Math.min(CHUNK_ELEMENTS, expected.size() - first));
                MemorySegment chunk = data.asSlice(dtype.bytes(first), dtype.bytes(values.length));
                FloatBytes.put(dtype, values, 0, values.length, chunk.asByteBuffer());
            }
            return new TensorView(name, dtype, expected, data);
        };
    }

    /** One parameter's distribution and its own stream of random numbers. */
    private record Draw(long stream, float mean, float deviation) {
        static Draw of(WanConfig config, long seed, String name, Shape shape) {
            long stream = mix(seed);
            for (int i = 0; i < name.length(); i++) {
                stream = mix(stream + GOLDEN_RATIO * name.charAt(i));
            }
            if (name.contains("norm") && name.endsWith(".weight")) {
                return new Draw(stream, 1.1f, 0.25f);
            }
            if (name.endsWith("modulation")) {
                return new Draw(stream, 0, 0.45f);
            }
            // What is added to the residual stream, so that it grows by a constant over all layers, however many.
            boolean residual = name.startsWith("blocks.") && (name.contains("attn.o.") || name.contains("ffn.2."));
            double gain = residual ? 1 / Math.sqrt(2.0 * config.numLayers()) : 1;
            if (name.endsWith(".bias")) {
                return new Draw(stream, 0, (float) (0.2 * gain));
            }
            long fanIn = shape.size() / shape.dim(0);
            return new Draw(stream, 0, (float) (gain / Math.sqrt((double) fanIn)));
        }

        /** The sum of four uniform 16-bit integers is close enough to normal, and costs one 64-bit hash. */
        float[] values(long first, int count) {
            float[] out = new float[count];
            float scale = (float) (deviation * Math.sqrt(3) / (1 << 16));
            for (int i = 0; i < count; i++) {
                long bits = mix(stream + GOLDEN_RATIO * (first + i));
                int sum = (int) ((bits & 0xffff) + (bits >>> 16 & 0xffff) + (bits >>> 32 & 0xffff) + (bits >>> 48));
                out[i] = mean + scale * (sum - 2 * 0xffff);
            }
            return out;
        }

        /** The finalizer of SplitMix64 (Steele, Lea, Flood 2014). */
        private static long mix(long z) {
            long a = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
            long b = (a ^ (a >>> 27)) * 0x94D049BB133111EBL;
            return b ^ (b >>> 31);
        }
    }
}
