package wan.app.command;

import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import tornado.TornadoDevices;
import wan.jvm.onednn.OneDnnStatus;
import wan.run.Devices;
import wan.run.MemoryCheck;

/** {@code wan-attn devices}: what can compute here, and why something cannot. */
@Command(
        name = "devices",
        description = "Lists what can compute here, as --device takes it, and says why something is not there.")
public final class DevicesCommand implements Callable<Integer> {
    @Override
    public Integer call() {
        System.out.printf(
                "%-14s Java %s, %d threads, %s of heap%n",
                Devices.JVM,
                Runtime.version().feature(),
                Runtime.getRuntime().availableProcessors(),
                MemoryCheck.bytes(Runtime.getRuntime().maxMemory()));
        OneDnnStatus oneDnn = OneDnnStatus.find();
        System.out.printf(
                "%-14s %s%n",
                Devices.ONEDNN,
                oneDnn.isThere()
                        ? "oneDNN %s on %s, %s"
                                .formatted(
                                        oneDnn.version(),
                                        oneDnn.isa(),
                                        oneDnn.bfloat16()
                                                ? "in bf16"
                                                : "in f32: this processor has no bf16, which onednn:bf16 emulates")
                        : oneDnn.problem());
        Devices.Found found = Devices.tornado();
        for (TornadoDevices.Info device : found.devices()) {
            System.out.printf(
                    "%-14s %s %s, %s, %s of memory, arrays up to %s%s%n",
                    device.option(),
                    device.driver(),
                    device.type(),
                    device.name(),
                    MemoryCheck.bytes(device.memoryBytes()),
                    MemoryCheck.bytes(device.largestArrayBytes()),
                    device.libraries().stream()
                            .map(library -> ", " + library.title())
                            .collect(Collectors.joining()));
        }
        if (!found.problem().isEmpty()) {
            System.out.printf("%-14s %s%n", Devices.TORNADO, found.problem());
            System.out.printf("%-14s %s%n", "", Devices.howToInstall());
        }
        return 0;
    }
}
