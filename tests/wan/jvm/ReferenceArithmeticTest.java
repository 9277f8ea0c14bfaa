package wan.jvm;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.op.Dyn;
import wan.op.KvTensor;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;

/** Two things that the reference computes inside: its rotary table, and the bf16 logits that it captures as shipped. */
class ReferenceArithmeticTest {
    @ParameterizedTest
    @ValueSource(ints = {128, 24, 20})
    void rope_hasTheReferencesTable(int headDim) {
        double[] rows = Golden.view("rope_table.rows").toDoubles();
        int pairs = headDim / 2;
        int third = pairs / 3;
        int[] axes = {pairs - 2 * third, third, third};
        TensorView cos = Golden.view("rope_table." + headDim + ".cos");
        TensorView sin = Golden.view("rope_table." + headDim + ".sin");
        for (int row = 0; row < rows.length; row++) {
            int column = row * pairs;
            for (int axisPairs : axes) {
                double[] table = Rope.table(new int[] {(int) rows[row]}, axisPairs);
                for (int j = 0; j < axisPairs; j++, column++) {
                    assertThat(Math.abs(table[2 * j] - cos.toDoubles()[column])).isLessThan(1e-12);
                    assertThat(Math.abs(table[2 * j + 1] - sin.toDoubles()[column]))
                            .isLessThan(1e-12);
                }
            }
        }
    }

    /** q and k rounded to bf16, their product rounded to bf16, times 1/sqrt(d), rounded again (golden README, section 6). */
    @Test
    void tokenLogits_giveTheShippedBf16Logits_whenRoundedAsTheReferenceRounds() {
        try (JvmOps ops = new JvmOps(JvmOptions.defaults());
                Scope _ = ops.scope()) {
            int rows = 12;
            int dim = 48;
            Dyn page = new Dyn("page", 1);
            page.set(0);
            KvTensor cache = ops.kvCache(2, 1, rows, 2, 24);
            Tensor k = rounded(ops, "attention.k", dim);
            ops.append(cache, k, k, page);
            RecordingTap tap = new RecordingTap(new int[] {0, 1}, Quantity.TOKEN_LOGITS);
            Tensor _ = ops.attention(rounded(ops, "attention.q", dim), cache, page, 6, 6, tap);
            float[] logits = tap.tokenLogits(2, 6, rows);
            float[] shipped = Golden.view("attention.bf16.logits.out").toFloats();
            double scale = 1 / Math.sqrt(24);
            for (int i = 0; i < logits.length; i++) {
                float got = bf16((float) (bf16((float) (logits[i] / scale)) * scale));
                float ulp = Math.ulp(shipped[i]) * 0x1p16f; // bf16 keeps 16 bits fewer
                assertThat(Math.abs(got - shipped[i])).isLessThanOrEqualTo(ulp);
            }
        }
    }

    private static Tensor rounded(JvmOps ops, String name, int dim) {
        float[] values = Golden.values(name);
        for (int i = 0; i < values.length; i++) {
            values[i] = bf16(values[i]);
        }
        Tensor tensor = ops.scratch(Shape.of(values.length / dim, dim));
        ops.write(tensor, values);
        return tensor;
    }

    /** To the nearest, ties to even. */
    private static float bf16(float value) {
        int bits = Float.floatToRawIntBits(value);
        return Float.intBitsToFloat((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000);
    }
}
