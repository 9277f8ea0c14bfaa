package wan.noise;

import wan.op.HalfFormat;
import wan.op.WanException;

/**
 * {@code torch.randn} of a contiguous CUDA tensor ({@code aten/src/ATen/native/cuda/DistributionTemplates.h},
 * {@code CUDAGeneratorImpl.cpp}; cuRAND's device API).
 *
 * <p>T threads, one per element but no more than the device runs at once, each have a Philox sequence: key is the seed,
 * the upper counter words are the thread's number, the lower ones count its draws and go on from call to call. A thread
 * turns each 128 bits into four normal numbers and stores them T elements apart; when 4T elements are not enough, all
 * threads take another round. Up to T elements only the first of the four is used.
 *
 * <p>The random bits, their order and the arguments of the functions are the device's. Its sine and cosine are not:
 * {@code __sincosf} is an instruction with a small error of its own, about 2^-22, that no document specifies; here they
 * are correctly rounded. So a float32 value can differ from a GPU's by a few 1e-7, and a bfloat16 value, one in some
 * thousands, by its last bit.
 */
final class TorchCudaNormals implements Normals {
    /** Beyond this many bytes PyTorch splits the tensor into several launches, which is not reproduced. */
    private static final long MAX_BYTES = 1L << 31;
    /** Numbers of one draw, a {@code float4}. */
    private static final int WIDTH = 4;

    private static final float TO_UNIT = 0x1p-32f;
    private static final float TO_ANGLE = 0x1p-32f * (float) (2 * Math.PI);
    private static final float TURNS_PER_RADIAN = (float) (1 / (2 * Math.PI));

    private final long seed;
    private final boolean bf16;
    private final CudaGeometry geometry;
    private long draws;

    TorchCudaNormals(long seed, boolean bf16, CudaGeometry geometry) {
        this.seed = seed;
        this.bf16 = bf16;
        this.geometry = geometry;
    }

    @Override
    public float[] next(int count) {
        if ((bf16 ? 2L : 4L) * count > MAX_BYTES) {
            throw new WanException("torch-cuda noise: expected a tensor of at most 2 GiB, got " + count
                    + " elements; PyTorch splits larger ones and the order changes");
        }
        float[] values = new float[count];
        int blocks = Math.min(geometry.maxBlocks(), Math.ceilDiv(count, CudaGeometry.BLOCK_THREADS));
        long threads = (long) blocks * CudaGeometry.BLOCK_THREADS;
        int[] bits = new int[WIDTH];
        for (long first = 0; first < count; first += WIDTH * threads) {
            for (long thread = 0; thread < threads && first + thread < count; thread++) {
                Philox.generate(draws, thread, seed, bits);
                store(values, first + thread, threads, bits[0], bits[1]);
                store(values, first + thread + 2 * threads, threads, bits[2], bits[3]);
            }
            // The generator's offset counts 32-bit words, of which a draw takes four.
            draws++;
        }
        return values;
    }

    /** Box-Muller as in {@code curand_normal.h}: the sine at {@code at}, the cosine {@code stride} further. */
    private void store(float[] values, long at, long stride, int radiusBits, int angleBits) {
        if (at >= values.length) {
            return;
        }
        float unit = Math.fma((float) Integer.toUnsignedLong(radiusBits), TO_UNIT, TO_UNIT / 2);
        float radius = (float) Math.sqrt(-2 * (float) StrictMath.log(unit));
        float radians = Math.fma((float) Integer.toUnsignedLong(angleBits), TO_ANGLE, TO_ANGLE / 2);
        double angle = 2 * Math.PI * turns(radians);
        values[(int) at] = scaled(radius, StrictMath.sin(angle));
        if (at + stride < values.length) {
            values[(int) (at + stride)] = scaled(radius, StrictMath.cos(angle));
        }
    }

    /** The angle as the device's sine and cosine take it: in turns, the product rounded towards zero. */
    private static float turns(float radians) {
        double product = (double) radians * TURNS_PER_RADIAN;
        float rounded = (float) product;
        return rounded > product ? Math.nextDown(rounded) : rounded;
    }

    private float scaled(float radius, double direction) {
        // Adding the mean, zero, turns -0 into +0.
        float value = radius * (float) direction + 0f;
        return bf16 ? HalfFormat.BF16.round(value) : value;
    }
}
