package wan.op;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;

class Float8Test {
    @Test
    void everyPattern_isItsOwnNearest() {
        for (int pattern = 0; pattern < 256; pattern++) {
            float value = Float8.widen((byte) pattern);
            if (!Float.isNaN(value)) {
                assertThat(Float8.narrow(value)).as("%s", value).isEqualTo((byte) pattern);
            }
        }
        assertThat(Float8.widen((byte) 0x7e)).isEqualTo(Float8.MAX);
        assertThat(Float8.widen((byte) 0x81)).isEqualTo(-0x1p-9f);
        assertThat(Float8.widen(Float8.narrow(Float.NaN))).isNaN();
    }

    @Test
    void narrow_takesTheNearest_tiesToEven_andNothingBeyondTheLargest() {
        for (int pattern = 0; pattern < 0x7e; pattern++) {
            float below = Float8.widen((byte) pattern);
            float above = Float8.widen((byte) (pattern + 1));
            float middle = (below + above) / 2;
            assertThat(Float8.narrow(Math.nextDown(middle))).isEqualTo((byte) pattern);
            assertThat(Float8.narrow(Math.nextUp(middle))).isEqualTo((byte) (pattern + 1));
            assertThat(Float8.narrow(middle)).isEqualTo((byte) (pattern + pattern % 2));
        }
        assertThat(Float8.narrow(1e9f)).isEqualTo((byte) 0x7e);
        assertThat(Float8.narrow(Float.NEGATIVE_INFINITY)).isEqualTo((byte) 0xfe);
    }

    /** Half a step of a normal number is a sixteenth of its power of two; smaller ones have the smallest step. */
    @Test
    void rows_areRoundedEachWithItsScale() {
        Random random = new Random(1);
        float[] values = new float[3 * 64];
        for (int i = 0; i < 128; i++) {
            values[i] = (float) (random.nextGaussian() * (i < 64 ? 1e-3 : 50)); // and a row of zeros
        }
        float[] rounded = values.clone();
        Float8.roundRows(rounded, 3);
        for (int i = 0; i < values.length; i++) {
            float scale = Float8.scale(values, i / 64 * 64, 64);
            double step = Math.max(Math.abs(values[i]) / 16, scale * 0x1p-10) * (1 + 1e-6);
            assertThat((double) Math.abs(rounded[i] - values[i])).isLessThanOrEqualTo(step);
        }
        assertThat(rounded[130]).isZero();
        assertThat(Float8.scale(values, 128, 64)).isEqualTo(1);
    }
}
