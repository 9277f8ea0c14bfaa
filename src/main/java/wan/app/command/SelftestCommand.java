package wan.app.command;

import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import wan.app.option.DeviceOptions;
import wan.backend.Storage;
import wan.op.Ops;
import wan.run.Devices;
import wan.run.RunSpec;
import wan.selftest.SelfTest;

/** {@code wan-attn selftest}: every operation of a device against the oracle, and how fast each is. */
@Command(
        name = "selftest",
        description = "Runs every operation on a device with several odd sizes and compares it with plain loops in"
                + " double precision. With --perf, measures each operation at the model's sizes.")
public final class SelftestCommand implements Callable<Integer> {
    @Mixin
    private DeviceOptions deviceOptions = new DeviceOptions();

    @Option(names = "--op", paramLabel = "NAME", description = "Only operations whose name contains NAME.")
    private String op = "";

    @Option(names = "--perf", description = "Measure GFLOP/s or GB/s at the model's sizes instead.")
    private boolean perf;

    @Override
    public Integer call() {
        if (perf) {
            System.out.printf(Locale.ROOT, "%-22s %-34s %10s %15s%n", "op", "size", "ms", "rate");
            SelfTest.measure(this::open, op, line -> System.out.println(line));
            return 0;
        }
        try (Ops ops = open()) {
            List<SelfTest.Result> results = SelfTest.run(ops, storage(), op);
            System.out.printf(Locale.ROOT, "%-22s %-34s %10s %10s%n", "op", "size", "error", "limit");
            results.forEach(result -> System.out.println(result));
            long wrong = results.stream().filter(result -> !result.passed()).count();
            System.out.printf(
                    Locale.ROOT, "%s: %d of %d passed%n", ops.backend(), results.size() - wrong, results.size());
            return wrong == 0 ? 0 : 1;
        }
    }

    private Storage storage() {
        RunSpec.Device device = deviceOptions.over(RunSpec.Device.JVM);
        return new Storage(device.weights(), device.cache());
    }

    private Ops open() {
        return Devices.openUnchecked(deviceOptions.over(RunSpec.Device.JVM));
    }
}
