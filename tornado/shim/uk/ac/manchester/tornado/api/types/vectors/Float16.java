package uk.ac.manchester.tornado.api.types.vectors;

/** 16 floats. */
public final class Float16 {
    private final float[] lanes;

    /** These. */
    public Float16(
            float s0,
            float s1,
            float s2,
            float s3,
            float s4,
            float s5,
            float s6,
            float s7,
            float s8,
            float s9,
            float s10,
            float s11,
            float s12,
            float s13,
            float s14,
            float s15) {
        this(new float[] {s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15});
    }

    private Float16(float[] lanes) {
        this.lanes = lanes;
    }

    /** Lane by lane. */
    public static Float16 add(Float16 a, Float16 b) {
        Float16 sum = new Float16(new float[16]);
        for (int i = 0; i < 16; i++) {
            sum.lanes[i] = a.lanes[i] + b.lanes[i];
        }
        return sum;
    }

    /** Every lane times one value. */
    public static Float16 mult(Float16 a, float value) {
        Float16 product = new Float16(new float[16]);
        for (int i = 0; i < 16; i++) {
            product.lanes[i] = a.lanes[i] * value;
        }
        return product;
    }

    /** A lane. */
    public float get(int index) {
        return lanes[index];
    }

    /** Sets a lane. */
    public void set(int index, float value) {
        lanes[index] = value;
    }
}
