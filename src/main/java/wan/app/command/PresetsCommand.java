package wan.app.command;

import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import wan.run.Preset;

/** {@code wan-attn presets}: the public checkpoints that are known, with the settings they were made for. */
@Command(name = "presets", description = "Lists the presets for --preset, and the checkpoints that cannot be run.")
public final class PresetsCommand implements Callable<Integer> {
    @Override
    public Integer call() {
        for (Preset preset : Preset.all()) {
            System.out.printf(Locale.ROOT, "%-28s %s%n", preset.name(), preset.title());
            System.out.printf(Locale.ROOT, "%-28s %s%n", "", preset.source());
            if (preset.refused() != null) {
                System.out.printf(Locale.ROOT, "%-28s cannot be run: %s%n", "", preset.refused());
            }
        }
        return 0;
    }
}
