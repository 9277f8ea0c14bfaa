package wan.run;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import wan.backend.BackendProvider;
import wan.backend.HostSpeed;
import wan.file.OutputFile;
import wan.op.WanException;
import wan.text.PromptEncoder;

/**
 * The measured speed of this machine, kept in the folder of the prompt embeddings: a small text file for each processor, number
 * of threads, version of Java, oneDNN and this program, and size of a run.
 *
 * <p>Never a reason to fail: a file that is broken is measured again, a folder that cannot be written is reported.
 */
final class SpeedFile implements HostSpeed.Kept {
    private static final System.Logger LOG = System.getLogger("wan.run");

    private final Path folder;
    private final String machine;

    /**
     * A cache.
     *
     * @param folder need not exist yet
     * @param machine what the measurements hold for
     */
    SpeedFile(Path folder, String machine) {
        this.folder = folder;
        this.machine = machine;
    }

    static SpeedFile ofThisMachine() {
        String devices = Devices.providers().stream()
                .filter(BackendProvider::isOnHost)
                .flatMap(provider -> provider.devices().stream())
                .map(String::valueOf)
                .collect(Collectors.joining(", "));
        String java = System.getProperty("java.vm.version");
        String machine = String.join("; ", processor(), "Java " + java, Program.version(), devices);
        return new SpeedFile(PromptEncoder.defaultCacheFolder(), machine);
    }

    private static String processor() {
        String kind = System.getProperty("os.arch");
        Path info = Path.of("/proc/cpuinfo");
        if (!Files.isReadable(info)) {
            return kind;
        }
        try {
            return Files.readAllLines(info).stream()
                            .filter(line -> line.startsWith("model name") || line.startsWith("CPU part"))
                            .findFirst()
                            .map(line -> line.replaceFirst(".*:\\s*", ""))
                            .orElse("")
                    + " " + kind;
        } catch (IOException e) {
            return kind;
        }
    }

    @Override
    public Map<String, Double> get(String what) {
        Path file = file(what);
        if (!Files.isRegularFile(file)) {
            return Map.of();
        }
        try {
            List<String> lines = Files.readAllLines(file);
            Map<String, Double> seconds = new LinkedHashMap<>();
            for (String line : lines.subList(Math.min(1, lines.size()), lines.size())) {
                String[] words = line.split(" ", 2);
                double value = Double.parseDouble(words[words.length - 1]);
                if (words.length < 2 || !(value > 0 && value < Double.POSITIVE_INFINITY)) {
                    throw new NumberFormatException(line);
                }
                seconds.put(words[0], value);
            }
            if (!seconds.isEmpty() && lines.getFirst().equals(title(what))) {
                return seconds;
            }
            LOG.log(Level.WARNING, file + ": broken cache entry, measured again");
        } catch (IOException | NumberFormatException e) {
            LOG.log(Level.WARNING, file + ": broken cache entry, measured again: " + e.getMessage());
        }
        return Map.of();
    }

    @Override
    public void put(String what, Map<String, Double> seconds) {
        StringBuilder text = new StringBuilder(title(what)).append('\n');
        new TreeMap<>(seconds)
                .forEach((device, value) ->
                        text.append(device).append(' ').append(value).append('\n'));
        try {
            Files.createDirectories(folder);
            OutputFile.write(file(what), out -> out.write(text.toString().getBytes(StandardCharsets.UTF_8)));
        } catch (IOException | WanException e) {
            LOG.log(Level.WARNING, folder + ": measurements cannot be kept: " + e.getMessage());
        }
    }

    private String title(String what) {
        return machine + "; " + what;
    }

    /** Where measurements are kept. */
    Path file(String what) {
        try {
            byte[] hash =
                    MessageDigest.getInstance("SHA-256").digest(title(what).getBytes(StandardCharsets.UTF_8));
            return folder.resolve("speed-" + HexFormat.of().formatHex(hash, 0, 16) + ".txt");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
