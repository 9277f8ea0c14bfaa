package wan.app.command;

import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import wan.backend.BackendProvider;
import wan.run.Devices;

/** {@code wan-attn devices}: the available devices, and why others are not available. */
@Command(name = "devices", description = "Lists the devices for --device, and why others are not available.")
public final class DevicesCommand implements Callable<Integer> {
    @Override
    public Integer call() {
        for (BackendProvider provider : Devices.providers().reversed()) {
            provider.devices()
                    .forEach(device ->
                            System.out.printf(Locale.ROOT, "%-14s %s%n", device.name(), device.description()));
            String name = provider.name();
            for (String line : provider.problem()) {
                System.out.printf(Locale.ROOT, "%-14s %s%n", name, line);
                name = "";
            }
        }
        return 0;
    }
}
