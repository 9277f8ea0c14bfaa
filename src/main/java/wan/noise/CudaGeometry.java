package wan.noise;

import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import wan.op.UsageException;

/**
 * The two properties of a CUDA device on which the order of {@code torch.randn}'s numbers depends.
 *
 * <p>PyTorch fills a tensor with as many threads as the device runs at once, each thread its own Philox sequence
 * ({@code calc_execution_policy} in {@code aten/src/ATen/native/cuda/DistributionTemplates.h}). Up to one wave, {@code 256 *
 * maxBlocks()} elements, all devices agree; beyond it each number of blocks is a stream of its own. A wave of an H100 is
 * 270,336 elements and three latent frames of 480p are 299,520: both draws of a Self-Forcing run, initial and re-noise,
 * depend on the device. A figure that was made on an A100 needs {@code a100} here, whatever machine replays it. A MIG slice
 * has fewer multiprocessors than its device.
 *
 * @param multiProcessorCount streaming multiprocessors ({@code torch.cuda.get_device_properties(0).multi_processor_count})
 * @param maxThreadsPerMultiProcessor resident threads of one ({@code max_threads_per_multi_processor})
 */
public record CudaGeometry(int multiProcessorCount, int maxThreadsPerMultiProcessor) {
    /** Threads of a block of PyTorch's distribution kernels. */
    static final int BLOCK_THREADS = 256;

    /** The default: H100 (SXM) and H200. */
    public static final CudaGeometry H100 = new CudaGeometry(132, 2048);

    private static final Map<String, CudaGeometry> PRESETS = new TreeMap<>(Map.ofEntries(
            Map.entry("a100", new CudaGeometry(108, 2048)),
            Map.entry("a10g", new CudaGeometry(80, 1536)),
            Map.entry("a4000", new CudaGeometry(48, 1536)),
            Map.entry("a6000", new CudaGeometry(84, 1536)),
            Map.entry("h100", H100),
            Map.entry("h100-pcie", new CudaGeometry(114, 2048)),
            Map.entry("h200", H100),
            Map.entry("l40s", new CudaGeometry(142, 1536)),
            Map.entry("rtx-3090", new CudaGeometry(82, 1536)),
            Map.entry("rtx-4090", new CudaGeometry(128, 1536)),
            Map.entry("t4", new CudaGeometry(40, 1024)),
            Map.entry("v100", new CudaGeometry(80, 2048))));

    private static final Pattern NUMBERS = Pattern.compile("(\\d{1,6})x(\\d{1,6})");

    /**
     * A device by its two numbers.
     *
     * @throws UsageException if it could not run a block
     */
    public CudaGeometry {
        if (multiProcessorCount < 1 || maxThreadsPerMultiProcessor < BLOCK_THREADS) {
            throw new UsageException("CUDA device: expected at least 1 multiprocessor of " + BLOCK_THREADS
                    + " threads, got " + multiProcessorCount + "x" + maxThreadsPerMultiProcessor);
        }
    }

    /**
     * The device that an option names.
     *
     * @param text a preset ({@code h100}, {@code a100}, {@code rtx-4090}, ...) or {@code 108x2048}
     * @throws UsageException if it is neither
     */
    public static CudaGeometry of(String text) {
        CudaGeometry preset = PRESETS.get(text);
        if (preset != null) {
            return preset;
        }
        Matcher numbers = NUMBERS.matcher(text);
        if (!numbers.matches()) {
            throw new UsageException("CUDA device: expected one of " + String.join(", ", PRESETS.keySet())
                    + " or multiprocessors x threads of each such as 108x2048, got \"" + text + "\"");
        }
        return new CudaGeometry(Integer.parseInt(numbers.group(1)), Integer.parseInt(numbers.group(2)));
    }

    /** Blocks of the largest grid that PyTorch launches to fill a tensor. */
    int maxBlocks() {
        return Math.multiplyExact(multiProcessorCount, maxThreadsPerMultiProcessor / BLOCK_THREADS);
    }

    /** As {@link #of} reads it: {@code 132x2048}. */
    @Override
    public String toString() {
        return multiProcessorCount + "x" + maxThreadsPerMultiProcessor;
    }
}
