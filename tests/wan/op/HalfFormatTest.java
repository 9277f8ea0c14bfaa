package wan.weights;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class FloatBytesTest {
    @Test
    void bfloat16_isExact_whenTheValueIsOne() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            float value = Float.intBitsToFloat(bits << 16);
            short rounded = FloatBytes.bfloat16(value);
            if (Float.isNaN(value) ? !Float.isNaN(Float.intBitsToFloat(rounded << 16)) : rounded != (short) bits) {
                throw new AssertionError(
                        Integer.toHexString(bits) + " became " + Integer.toHexString(rounded & 0xffff));
            }
        }
    }

    @Test
    void bfloat16_roundsToNearest_tiesToEven() {
        assertThat(FloatBytes.bfloat16(Float.intBitsToFloat(0x3f80_8000))).isEqualTo((short) 0x3f80);
        assertThat(FloatBytes.bfloat16(Float.intBitsToFloat(0x3f81_8000))).isEqualTo((short) 0x3f82);
        assertThat(FloatBytes.bfloat16(Float.intBitsToFloat(0x3f80_8001))).isEqualTo((short) 0x3f81);
        assertThat(FloatBytes.bfloat16(Float.intBitsToFloat(0xbf80_7fff))).isEqualTo((short) 0xbf80);
        assertThat(FloatBytes.bfloat16(Float.MAX_VALUE)).isEqualTo((short) 0x7f80);
        // A NaN whose upper mantissa bits are all zero must not become infinity.
        assertThat(FloatBytes.bfloat16(Float.intBitsToFloat(0x7f80_0001))).isEqualTo((short) 0x7fc0);
    }
}
