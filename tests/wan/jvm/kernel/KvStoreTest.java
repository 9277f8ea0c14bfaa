package wan.jvm.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import wan.op.DType;
import wan.op.NonFiniteException;

class KvStoreTest {
    private static float stored(DType type, float value) {
        KvStore<?> store = KvStore.of(type, 1, 3);
        store.allocate(0);
        store.put(0, 1, 1, new float[] {7, value}, 1, 1);
        float one = store.get(0, 1);
        assertThat(store.floats(0, 0, 3, new float[3])).containsExactly(0, one, 0);
        return one;
    }

    private static float widened(DType type, int pattern) {
        return type == DType.F16 ? Float.float16ToFloat((short) pattern) : Float.intBitsToFloat(pattern << 16);
    }

    /** Each pattern comes back as it is; what lies between two goes to the nearer one, and from the middle to the even one. */
    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void put_roundsToTheNearest_tiesToEven(DType type) {
        int infinity = type == DType.F16 ? 0x7c00 : 0x7f80;
        for (int pattern = 0; pattern < infinity - 1; pattern++) {
            float below = widened(type, pattern);
            float above = widened(type, pattern + 1);
            float middle = (float) (((double) below + above) / 2);
            assertThat(stored(type, below)).isEqualTo(below);
            assertThat(stored(type, -below)).isEqualTo(-below);
            assertThat(stored(type, middle)).isEqualTo(pattern % 2 == 0 ? below : above);
            assertThat(stored(type, Math.nextDown(middle))).isEqualTo(below);
            assertThat(stored(type, -Math.nextUp(middle))).isEqualTo(-above);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "F16", "BF16"})
    void put_keepsWhatIsNotFinite(DType type) {
        assertThat(stored(type, Float.POSITIVE_INFINITY)).isEqualTo(Float.POSITIVE_INFINITY);
        assertThat(stored(type, Float.NEGATIVE_INFINITY)).isEqualTo(Float.NEGATIVE_INFINITY);
        for (int payload : new int[] {0x7fc00001, 0x7f800001, 0x7fffffff, 0xffffffff}) {
            assertThat(stored(type, Float.intBitsToFloat(payload))).isNaN();
        }
    }

    @Test
    void put_refusesWhatF16HasNoRoomFor() {
        assertThat(stored(DType.F16, 65519)).isEqualTo(65504);
        assertThatThrownBy(() -> stored(DType.F16, -65520))
                .isInstanceOf(NonFiniteException.class)
                .hasMessage("keys and values: expected numbers up to 65504.0 as f16, got -65520.0;"
                        + " device.cache bf16 has the range of f32");
        assertThat(stored(DType.BF16, 65536)).isEqualTo(65536);
    }

    @Test
    void heldBytes_areOfWhatIsThere() {
        KvStore<?> store = KvStore.of(DType.BF16, 3, 10);
        store.allocate(0);
        store.allocate(2);
        assertThat(store.heldBytes()).isEqualTo(40);
        store.discard(2);
        assertThat(store.holds(2)).isFalse();
        assertThat(store.heldBytes()).isEqualTo(20);
        store.discardAll();
        assertThat(store.heldBytes()).isZero();
    }
}
