package wan.selftest;

import java.util.List;
import wan.backend.DeviceCheck;
import wan.backend.Storage;
import wan.op.Ops;

/**
 * Judges devices by the self-test's operations.
 *
 * @param sizes what is measured: of each operation the first case
 */
public record SelfTestCheck(List<SelfTestCases.Case> sizes) implements DeviceCheck {
    private static final long MEASURE_NANOS = 200_000_000;

    /** Measures at the sizes of one frame of the 1.3B model. */
    public static SelfTestCheck ofTheModel() {
        return new SelfTestCheck(SelfTestCases.large());
    }

    @Override
    public String problem(Ops ops, Storage storage, String prefix) {
        List<SelfTest.Result> wrong = SelfTest.quick(ops, storage, prefix);
        return wrong.isEmpty() ? "" : wrong.getFirst().toString();
    }

    @Override
    public Timing time(Ops ops, String op) {
        SelfTestCases.Case one =
                sizes.stream().filter(size -> size.op().equals(op)).findFirst().orElseThrow();
        return new Timing(one.op() + " " + one.size(), SelfTest.seconds(ops, one, MEASURE_NANOS));
    }
}
