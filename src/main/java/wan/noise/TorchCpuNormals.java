package wan.noise;

import wan.op.HalfFormat;

/**
 * {@code torch.randn} of a contiguous CPU tensor ({@code aten/src/ATen/native/cpu/DistributionTemplates.h}).
 *
 * <p>Below 16 elements the numbers come one by one from a Box-Muller transform in double whose second result is kept for
 * the next such draw, across draws of other sizes. From 16 elements on, the tensor is filled with uniform numbers and
 * transformed in place, 16 at a time: the first 8 give the radii, the other 8 the angles. If the size is no multiple of
 * 16, the last 16 elements are drawn once more and overwrite what was there.
 */
abstract sealed class TorchCpuNormals implements Normals {
    private static final int CHUNK = 16;
    private static final double TWO_PI = 2 * Math.PI;

    private final MersenneTwister random;
    private double kept = Double.NaN;

    private TorchCpuNormals(long seed) {
        random = new MersenneTwister(seed);
    }

    @Override
    public final float[] next(int count) {
        float[] values = new float[count];
        if (count < CHUNK) {
            for (int i = 0; i < count; i++) {
                values[i] = rounded((float) nextDouble());
            }
            return values;
        }
        fillUniform(values, 0, count);
        int whole = count - count % CHUNK;
        transform(values, 0, whole);
        if (whole < count) {
            fillUniform(values, count - CHUNK, count);
            transform(values, count - CHUNK, count);
        }
        return values;
    }

    private void fillUniform(float[] values, int from, int to) {
        for (int i = from; i < to; i++) {
            values[i] = uniform(random.nextInt());
        }
    }

    private void transform(float[] values, int from, int to) {
        for (int chunk = from; chunk < to; chunk += CHUNK) {
            for (int i = chunk; i < chunk + CHUNK / 2; i++) {
                transformPair(values, i, i + CHUNK / 2);
            }
        }
    }

    /** {@code normal_distribution<double>} of {@code aten/src/ATen/core/DistributionsHelper.h}. */
    private double nextDouble() {
        if (!Double.isNaN(kept)) {
            double value = kept;
            kept = Double.NaN;
            return value;
        }
        double angle = TWO_PI * uniform53();
        double radius = Math.sqrt(-2 * StrictMath.log1p(-uniform53()));
        kept = radius * StrictMath.sin(angle);
        return radius * StrictMath.cos(angle);
    }

    private double uniform53() {
        long high = random.nextInt();
        long bits = (high << 32) | Integer.toUnsignedLong(random.nextInt());
        return (bits & ((1L << 53) - 1)) * 0x1p-53;
    }

    /** A number in [0, 1) from 32 random bits, in steps of the type's precision. */
    abstract float uniform(int bits);

    /** Box-Muller in place: from uniform numbers for radius and angle to two normal ones. */
    abstract void transformPair(float[] values, int radius, int angle);

    abstract float rounded(float value);

    /**
     * float32, as {@code normal_fill_AVX2} computes it. That is what an x86 machine with AVX2 or AVX-512 runs; a machine
     * without them, or of another architecture, differs in the last bits.
     */
    static final class F32 extends TorchCpuNormals {
        F32(long seed) {
            super(seed);
        }

        @Override
        float uniform(int bits) {
            return (bits & 0xffffff) * 0x1p-24f;
        }

        @Override
        void transformPair(float[] values, int radius, int angle) {
            float r = (float) Math.sqrt(-2 * CephesFloat.log(1 - values[radius]));
            float theta = (float) TWO_PI * values[angle];
            // Adding the mean, zero, turns a product of -0 into the +0 that PyTorch returns.
            values[radius] = r * CephesFloat.cos(theta) + 0f;
            values[angle] = r * CephesFloat.sin(theta) + 0f;
        }

        @Override
        float rounded(float value) {
            return value;
        }
    }

    /**
     * bfloat16, as {@code normal_fill<BFloat16>} computes it: uniform numbers of 8 bits and every intermediate result
     * rounded, so that there are 65,536 pairs of results in all, none beyond 3.34.
     */
    static final class Bf16 extends TorchCpuNormals {
        private static final float[] RADIUS = new float[256];
        private static final float[] COS = new float[256];
        private static final float[] SIN = new float[256];

        static {
            for (int i = 0; i < 256; i++) {
                float uniform = i * 0x1p-8f;
                float log = HalfFormat.BF16.round((float) StrictMath.log(1 - uniform));
                RADIUS[i] = HalfFormat.BF16.round((float) Math.sqrt(-2 * log));
                float angle = HalfFormat.BF16.round((float) (TWO_PI * uniform));
                COS[i] = HalfFormat.BF16.round((float) StrictMath.cos(angle));
                SIN[i] = HalfFormat.BF16.round((float) StrictMath.sin(angle));
            }
        }

        Bf16(long seed) {
            super(seed);
        }

        @Override
        float uniform(int bits) {
            return (bits & 0xff) * 0x1p-8f;
        }

        @Override
        void transformPair(float[] values, int radius, int angle) {
            float r = RADIUS[(int) (values[radius] * 0x1p8f)];
            int theta = (int) (values[angle] * 0x1p8f);
            values[radius] = HalfFormat.BF16.round(r * COS[theta]) + 0f;
            values[angle] = HalfFormat.BF16.round(r * SIN[theta]) + 0f;
        }

        @Override
        float rounded(float value) {
            return HalfFormat.BF16.round(value);
        }
    }
}
