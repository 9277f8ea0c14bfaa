package wan.noise;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.math.BigInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import wan.op.UsageException;

class SeedTest {
    /** What PyTorch 1.13 says: {@code initial_seed()}, and {@code randn(3)} or {@code randn(2, 16, dtype=bfloat16)} right after the seed. */
    @ParameterizedTest
    @CsvSource({
        "-1, 18446744073709551615, 1.2197630405426025, -0.3929794728755951, 1.0230751037597656, 0.8046875, 0.37890625",
        "18446744073709551615, 18446744073709551615, 1.2197630405426025, -0.3929794728755951, 1.0230751037597656, 0.8046875, 0.37890625",
        "-5, 18446744073709551611, -1.8266246318817139, 0.6379720568656921, -1.7862693071365356, 1.71875, 0.240234375",
        "-9223372036854775808, 9223372036854775808, 1.5409960746765137, -0.293428897857666, -2.1787893772125244, 1.4609375, 0.291015625",
        "9223372036854775808, 9223372036854775808, 1.5409960746765137, -0.293428897857666, -2.1787893772125244, 1.4609375, 0.291015625",
        "9223372036854775807, 9223372036854775807, 1.2197630405426025, -0.3929794728755951, 1.0230751037597656, 0.8046875, 0.37890625",
        "13465382973948523417, 13465382973948523417, 0.9537739753723145, 0.21471135318279266, 0.0013912174617871642, -1.3515625, 0.6484375",
        "4294967303, 4294967303, -0.1467950940132141, 0.7861412763595581, 0.9468216300010681, -0.97265625, -0.306640625",
        "7, 7, -0.1467950940132141, 0.7861412763595581, 0.9468216300010681, -0.97265625, -0.306640625"
    })
    void seed_givesTheNumbersOfPyTorch(
            String text, String initial, float a, float b, float c, float bf16First, float bf16Second) {
        long seed = Seed.parse(text);
        assertThat(Seed.number(seed)).isEqualTo(new BigInteger(initial));
        assertThat(new TorchCpuNormals.F32(seed).next(3)).containsExactly(a, b, c);
        assertThat(new TorchCpuNormals.Bf16(seed).next(32)).startsWith(bf16First, bf16Second);
    }

    /** Philox takes all 64 bits as its key, so seeds that share their low half give other numbers. */
    @Test
    void cudaNoise_usesTheUpperHalfOfASeed() {
        float[] low = new TorchCudaNormals(7, false, CudaGeometry.H100).next(4);
        float[] high = new TorchCudaNormals(Seed.parse("4294967303"), false, CudaGeometry.H100).next(4);
        assertThat(high[0]).isNotCloseTo(low[0], within(1e-6f));
        assertThat(new TorchCudaNormals(Seed.parse("-5"), false, CudaGeometry.H100).next(4))
                .containsExactly(
                        new TorchCudaNormals(Seed.parse("18446744073709551611"), false, CudaGeometry.H100).next(4));
    }

    @ParameterizedTest
    @CsvSource({"+42, 42", "' 42 ', 42", "1_000, 1000", "-0, 0", "007, 7"})
    void parse_readsWhatPythonsIntReads(String text, long seed) {
        assertThat(Seed.parse(text)).isEqualTo(seed);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "18446744073709551616",
                "-9223372036854775809",
                "0x10",
                "1.5",
                "",
                "-",
                "1__0",
                "_1",
                "1e3",
                "\u0664\u0662"
            })
    void parse_refusesWhatPyTorchOrPythonRefuse(String text) {
        assertThatThrownBy(() -> Seed.parse(text))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("expected a whole number from -2^63 to 2^64-1");
    }
}
