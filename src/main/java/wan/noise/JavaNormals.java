package wan.noise;

import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import wan.op.HalfFormat;

/** wan-attn's own noise, from the JDK's generator of the LXM family. */
final class JavaNormals implements Normals {
    private final RandomGenerator random;
    private final boolean bf16;

    JavaNormals(long seed, boolean bf16) {
        random = RandomGeneratorFactory.of("L64X128MixRandom").create(seed);
        this.bf16 = bf16;
    }

    @Override
    public float[] next(int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            float value = (float) random.nextGaussian();
            values[i] = bf16 ? HalfFormat.BF16.round(value) : value;
        }
        return values;
    }
}
