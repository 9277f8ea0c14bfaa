package uk.ac.manchester.tornado.api.math;

/** Functions with a device counterpart. */
public class TornadoMath {
    /** The larger. */
    public static float max(float a, float b) {
        return Math.max(a, b);
    }

    /** The size. */
    public static float abs(float value) {
        return Math.abs(value);
    }

    /** The smaller. */
    public static float min(float a, float b) {
        return Math.min(a, b);
    }

    /** The smaller. */
    public static int min(int a, int b) {
        return Math.min(a, b);
    }

    /** e to a power. */
    public static float exp(float value) {
        return (float) Math.exp(value);
    }

    /** The square root. */
    public static float sqrt(float value) {
        return (float) Math.sqrt(value);
    }
}
