package tornado;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import wan.app.SelfTest;

/** Every operation at sizes that no tile divides, with the kernels of processors and those of graphics processors. */
class TornadoOpsSelfTest {
    @ParameterizedTest
    @EnumSource
    void everyOperation_matchesTheOracle(DeviceTarget.Kernels kernels) {
        try (TornadoOps ops = TornadoDevices.open("tornado", kernels.name(), 0)) {
            List<SelfTest.Result> results = SelfTest.run(ops, "");
            assertThat(results).hasSizeGreaterThan(80).allMatch(SelfTest.Result::passed);
        }
    }
}
