package wan.noise;

/**
 * The 32-bit Mersenne Twister mt19937 of Matsumoto and Nishimura (1998), seeded as PyTorch's CPU generator is
 * ({@code aten/src/ATen/core/MT19937RNGEngine.h}): by the low 32 bits of the seed.
 */
final class MersenneTwister {
    private static final int SIZE = 624;
    private static final int SHIFT = 397;
    private static final int UPPER_BIT = 0x80000000;
    private static final int TWIST = 0x9908b0df;

    private final int[] state = new int[SIZE];
    private int next = SIZE;

    MersenneTwister(long seed) {
        state[0] = (int) seed;
        for (int i = 1; i < SIZE; i++) {
            state[i] = 1812433253 * (state[i - 1] ^ (state[i - 1] >>> 30)) + i;
        }
    }

    /** The next 32 bits. */
    int nextInt() {
        if (next == SIZE) {
            twist();
        }
        int y = state[next++];
        y ^= y >>> 11;
        y ^= (y << 7) & 0x9d2c5680;
        y ^= (y << 15) & 0xefc60000;
        return y ^ (y >>> 18);
    }

    private void twist() {
        for (int i = 0; i < SIZE; i++) {
            int following = state[i + 1 == SIZE ? 0 : i + 1];
            int mixed = (state[i] & UPPER_BIT) | (following & ~UPPER_BIT);
            int far = i + SHIFT < SIZE ? i + SHIFT : i + SHIFT - SIZE;
            state[i] = state[far] ^ (mixed >>> 1) ^ (-(following & 1) & TWIST);
        }
        next = 0;
    }
}
