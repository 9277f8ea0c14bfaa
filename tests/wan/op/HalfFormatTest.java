package wan.op;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class HalfFormatTest {
    @Test
    void bfloat16_isExact_whenTheValueIsOne() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            float value = Float.intBitsToFloat(bits << 16);
            short rounded = HalfFormat.BF16.narrow(value);
            if (Float.isNaN(value) ? !Float.isNaN(Float.intBitsToFloat(rounded << 16)) : rounded != (short) bits) {
                throw new AssertionError(
                        Integer.toHexString(bits) + " became " + Integer.toHexString(rounded & 0xffff));
            }
        }
    }

    @Test
    void limits_areThoseOfTheFormats() {
        assertThat(HalfFormat.F16.max()).isEqualTo(65504);
        assertThat(HalfFormat.F16.limit()).isEqualTo(65520);
        assertThat(HalfFormat.BF16.max()).isEqualTo(Float.intBitsToFloat(0x7f7f_0000));
        for (HalfFormat format : HalfFormat.values()) {
            assertThat(format.widen(format.narrow(Math.nextDown(format.limit()))))
                    .isEqualTo(format.max());
            assertThat(format.widen(format.narrow(format.limit()))).isInfinite();
        }
    }

    @Test
    void bfloat16_roundsToNearest_tiesToEven() {
        assertThat(HalfFormat.BF16.narrow(Float.intBitsToFloat(0x3f80_8000))).isEqualTo((short) 0x3f80);
        assertThat(HalfFormat.BF16.narrow(Float.intBitsToFloat(0x3f81_8000))).isEqualTo((short) 0x3f82);
        assertThat(HalfFormat.BF16.narrow(Float.intBitsToFloat(0x3f80_8001))).isEqualTo((short) 0x3f81);
        assertThat(HalfFormat.BF16.narrow(Float.intBitsToFloat(0xbf80_7fff))).isEqualTo((short) 0xbf80);
        assertThat(HalfFormat.BF16.narrow(Float.MAX_VALUE)).isEqualTo((short) 0x7f80);
        // A NaN whose upper mantissa bits are all zero must not become infinity.
        assertThat(HalfFormat.BF16.narrow(Float.intBitsToFloat(0x7f80_0001))).isEqualTo((short) 0x7fc0);
    }
}
