package wan.noise;

import java.math.BigInteger;
import wan.op.UsageException;

/**
 * Seeds as {@code torch.manual_seed} takes them: -2^63 to 2^64-1, of which the negative ones stand for what is 2^64 more. Here a seed is
 * a {@code long} of the same 64 bits.
 */
public final class Seed {
    private static final BigInteger LOWEST = BigInteger.ONE.shiftLeft(63).negate();
    private static final BigInteger HIGHEST = BigInteger.ONE.shiftLeft(64).subtract(BigInteger.ONE);

    private Seed() {}

    /** Whether a number is a seed. */
    public static boolean isOne(BigInteger number) {
        return number.compareTo(LOWEST) >= 0 && number.compareTo(HIGHEST) <= 0;
    }

    /**
     * Reads a seed as Python's {@code int} does, which the reference's scripts read it with: decimal, with a sign and underscores
     * between digits if one likes.
     *
     * @throws UsageException if it is none
     */
    public static long parse(String text) {
        String digits = text.strip();
        // 1000 digits are no seed, and would only take time.
        if (digits.length() < 1000 && digits.matches("[+-]?[0-9]+(_[0-9]+)*")) {
            BigInteger number = new BigInteger(digits.replace("_", ""));
            if (isOne(number)) {
                return number.longValue();
            }
        }
        throw new UsageException(
                "noise.seed: expected a whole number from -2^63 to 2^64-1, as PyTorch's, got \"" + text + "\"");
    }

    /** The number that a seed's 64 bits stand for, from 0 to 2^64-1: what {@code torch.initial_seed()} gives. */
    public static BigInteger number(long seed) {
        return new BigInteger(Long.toUnsignedString(seed));
    }
}
