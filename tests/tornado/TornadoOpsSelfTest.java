package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.abort;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import tornado.TornadoDevices.Settings;
import wan.backend.Storage;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.jvm.SpecialNumbers;
import wan.op.DType;
import wan.selftest.SelfTest;

/** Every operation at sizes that no tile divides, with the kernels of processors and those of graphics processors. */
@Tag("slow")
class TornadoOpsSelfTest {
    @ParameterizedTest
    @CsvSource({"VECTOR, F32, F32", "SHARED, F32, F32", "VECTOR, F16, BF16", "SHARED, BF16, F16"})
    void everyOperation_matchesTheOracle(DeviceTarget.Kernels kernels, DType weights, DType cache) {
        requireOnDevice(kernels);
        Storage storage = new Storage(weights, cache);
        try (TornadoOps ops = TornadoDevices.open("tornado", new Settings(kernels.name(), storage, Set.of(), 0))) {
            List<SelfTest.Result> results = SelfTest.run(ops, storage, "");
            assertThat(results).hasSizeGreaterThan(80).allMatch(SelfTest.Result::passed);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"VECTOR", "SHARED"}) // tensor cores have only 16 bits
    void everyOperation_keepsWhatIsNotFinite(DeviceTarget.Kernels kernels) {
        requireOnDevice(kernels);
        Storage storage = new Storage(DType.F32, DType.F32);
        try (TornadoOps ops = TornadoDevices.open("tornado", new Settings(kernels.name(), storage, Set.of(), 0));
                JvmOps oracle = new JvmOps(new JvmOptions(1, JvmOptions.Kind.SCALAR))) {
            assertThat(SpecialNumbers.check(oracle, ops, 1e-4)).isEmpty();
        }
    }

    /** TornadoVM's CUDA backend has no vectors of 16 numbers, which must be said in one line. */
    private static void requireOnDevice(DeviceTarget.Kernels kernels) {
        boolean cuda = TornadoDevices.list().getFirst().driver().equals("cuda");
        if (kernels == DeviceTarget.Kernels.VECTOR && cuda) {
            Settings vector = new Settings("vector", Storage.F32, Set.of(), 0);
            assertThatThrownBy(() -> TornadoDevices.open("tornado", vector))
                    .hasMessageStartingWith("device.kernels vector: expected a device of TornadoVM's OpenCL backend");
            abort("vector kernels need OpenCL");
        }
    }
}
