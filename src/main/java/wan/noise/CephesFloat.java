package wan.noise;

/**
 * Logarithm, sine and cosine in float32, bit for bit those of PyTorch's AVX2 kernels
 * ({@code aten/src/ATen/native/cpu/avx_mathfun.h}, after Moshier's Cephes library), as compiled: a product that is added
 * to something is fused with the addition.
 *
 * <p>Only for the arguments that Box-Muller has: {@code log} of (0, 1], {@code sin} and {@code cos} of [0, 2 pi].
 */
final class CephesFloat {
    private static final float SQRT_HALF = 0.70710677f;
    /** ln 2 in two parts, the first exact in few bits. */
    private static final float LN2_HIGH = 0.6933594f;

    private static final float LN2_LOW = -0.00021219444f;

    private static final float FOUR_OVER_PI = 1.2732395f;
    /** pi / 4 in three parts, the first two exact in few bits. */
    private static final float PI_4_HIGH = 0.78515625f;

    private static final float PI_4_MIDDLE = 0.00024187565f;
    private static final float PI_4_LOW = 3.774895e-08f;

    private CephesFloat() {}

    /** ln x: of the mantissa, taken near 1, by a polynomial, and of the exponent. */
    static float log(float x) {
        int bits = Float.floatToRawIntBits(x);
        float exponent = (bits >>> 23) - 126;
        float mantissa = Float.intBitsToFloat((bits & 0x007fffff) | 0x3f000000); // [0.5, 1)
        float t = mantissa - 1;
        if (mantissa < SQRT_HALF) {
            exponent -= 1;
            t += mantissa;
        }
        float p = 0.070376836f;
        p = Math.fma(p, t, -0.1151461f);
        p = Math.fma(p, t, 0.116769984f);
        p = Math.fma(p, t, -0.12420141f);
        p = Math.fma(p, t, 0.14249323f);
        p = Math.fma(p, t, -0.16668057f);
        p = Math.fma(p, t, 0.20000714f);
        p = Math.fma(p, t, -0.24999994f);
        p = Math.fma(p, t, 0.3333333f);
        float square = t * t;
        float correction = Math.fma(p * t, square, exponent * LN2_LOW);
        correction = Math.fma(square, -0.5f, correction);
        return Math.fma(exponent, LN2_HIGH, t + correction);
    }

    /** Sine of an angle in [0, 2 pi]. */
    static float sin(float angle) {
        int octant = octant(angle);
        float reduced = reduced(angle, octant);
        float value = (octant & 2) == 0 ? sinPolynomial(reduced) : cosPolynomial(reduced);
        return (octant & 4) == 0 ? value : -value;
    }

    /** Cosine of an angle in [0, 2 pi]. */
    static float cos(float angle) {
        int octant = octant(angle);
        float reduced = reduced(angle, octant);
        float value = (octant & 2) == 0 ? cosPolynomial(reduced) : sinPolynomial(reduced);
        return ((octant - 2) & 4) != 0 ? value : -value;
    }

    /** The even number of eighths of a turn nearest to an angle. */
    private static int octant(float angle) {
        return ((int) (angle * FOUR_OVER_PI) + 1) & ~1;
    }

    private static float reduced(float angle, int octant) {
        float x = Math.fma(octant, -PI_4_HIGH, angle);
        x = Math.fma(octant, -PI_4_MIDDLE, x);
        return Math.fma(octant, -PI_4_LOW, x);
    }

    private static float sinPolynomial(float x) {
        float square = x * x;
        float p = -0.00019515296f;
        p = Math.fma(p, square, 0.008332161f);
        p = Math.fma(p, square, -0.16666655f);
        return Math.fma(p * square, x, x);
    }

    private static float cosPolynomial(float x) {
        float square = x * x;
        float p = 2.4433157e-05f;
        p = Math.fma(p, square, -0.0013887316f);
        p = Math.fma(p, square, 0.041666646f);
        return Math.fma(p * square, square, -0.5f * square) + 1;
    }
}
