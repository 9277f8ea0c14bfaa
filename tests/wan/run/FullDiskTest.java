package wan.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import capture.Indices;
import capture.PassChoice;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import wan.op.AttentionKind;
import wan.op.Quantity;
import wan.op.WanException;
import wan.sampling.Method;

/**
 * Runs over an older result on a disk that is full after so many bytes, which is then freed: a small file system of its own, which another JVM
 * sees alone. Every format, and a {@code .pt} folder of several layers.
 */
class FullDiskTest {
    private static final int NO_MOUNT = 77;
    private static final String FILLER = "filler";

    /** A run of 35 passes. */
    private static RunSpec spec(Path result, long seed) {
        boolean script = result.toString().endsWith(".pt");
        Indices layers = result.toString().contains("one") ? Indices.of(3) : Indices.of(0, 3);
        return RunSpec.of(RunSpec.Model.DEMO)
                .withVideo(new RunSpec.Video(4, 4, 14, null))
                .withNoise(new RunSpec.Noise(
                        RunSpec.of(RunSpec.Model.DEMO).noise().generator(),
                        seed,
                        false,
                        RunSpec.of(RunSpec.Model.DEMO).noise().cudaDevice()))
                .withSampler(new RunSpec.Sampler(
                        List.of(1000f, 750f, 500f, 250f), 5, true, 0, 2, false, Method.SELF_FORCING))
                .withCapture(new RunSpec.Captures(
                        layers,
                        Indices.of(1, 3),
                        EnumSet.of(AttentionKind.SELF),
                        PassChoice.parse("all"),
                        script
                                ? EnumSet.of(Quantity.FRAME_LOGITS)
                                : EnumSet.of(Quantity.FRAME_LOGITS, Quantity.TOKEN_LOGITS),
                        Set.of(),
                        false))
                .withDevice(RunSpec.of(RunSpec.Model.DEMO).device().onThreads(1))
                .withOutput(new RunSpec.Output(result, null, false, true, null));
    }

    private static void run(Wan wan, RunSpec spec) {
        assertThat(wan.prepare(spec, RunMonitor.NONE)
                        .execute(RunMonitor.NONE, Leftovers.RESUME)
                        .complete())
                .isTrue();
    }

    /** All files but the filler, with their bytes. */
    private static Map<String, byte[]> files(Path disk) throws IOException {
        Map<String, byte[]> files = new TreeMap<>();
        try (Stream<Path> all = Files.walk(disk)) {
            for (Path file : all.filter(Files::isRegularFile).toList()) {
                if (!file.endsWith(FILLER)) {
                    files.put(disk.relativize(file).toString(), Files.readAllBytes(file));
                }
            }
        }
        return files;
    }

    private static void fill(Path disk, long free) throws IOException {
        long filled = Files.getFileStore(disk).getUsableSpace() - free;
        Files.write(disk.resolve(FILLER), new byte[Math.toIntExact(filled)]);
    }

    /** What the other JVM does, with a file system of its own: prints a line for each name. */
    public static void main(String[] args) throws IOException {
        Path disk = Path.of(args[0]);
        try (Wan wan = Wan.demo()) {
            for (String name : List.of("several.pt", "one.pt", "two.safetensors", "two.npz")) {
                Path result = disk.resolve(name);
                run(wan, spec(result, 2));
                Map<String, byte[]> whole = files(disk);
                int full = 0;
                int begun = 0;
                boolean fits = false;
                for (long free = 4096; !fits; free = Math.max(free + 4096, free * 4 / 3)) {
                    run(wan, spec(result, 1));
                    Map<String, byte[]> older = files(disk);
                    fill(disk, free);
                    try {
                        run(wan, spec(result, 2));
                        fits = true;
                    } catch (WanException e) {
                        assertThat(e).hasMessageContaining("No space left on device");
                        Map<String, byte[]> left = files(disk);
                        assertThat(left).as("%s, %d bytes free", name, free).containsAllEntriesOf(older);
                        Path partial = disk.resolve(name + ".partial");
                        left.keySet().removeAll(older.keySet());
                        assertThat(left.keySet())
                                .allMatch(each -> disk.resolve(each).startsWith(partial));
                        full++;
                        begun += begun(partial);
                    }
                    Files.delete(disk.resolve(FILLER));
                    run(wan, spec(result, 2));
                    assertThat(files(disk)).as("%s, %d bytes free", name, free).containsExactlyEntriesOf(whole);
                }
                System.out.println(name + " " + full + " " + begun);
                for (String each : whole.keySet()) {
                    Files.delete(disk.resolve(each));
                }
            }
        }
    }

    /** 1 if a run has left a place to go on from. */
    private static int begun(Path folder) {
        return Files.exists(folder) && PartialSummary.of(folder).passes() > 0 ? 1 : 0;
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void resume_givesTheSameBytes_andTheOlderResultStays(@TempDir Path folder) throws Exception {
        Path disk = Files.createDirectory(folder.resolve("disk"));
        Path said = folder.resolve("said");
        Process process = new ProcessBuilder(
                        "unshare",
                        "--map-root-user",
                        "--mount",
                        "bash",
                        "-c",
                        "mount -t tmpfs -o size=8m tmpfs \"$0\" || exit " + NO_MOUNT + "; exec \"$@\"",
                        disk.toString(),
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx300m",
                        "-XX:-UsePerfData",
                        "--add-modules",
                        "jdk.incubator.vector",
                        "-cp",
                        System.getProperty("java.class.path"),
                        FullDiskTest.class.getName(),
                        disk.toString())
                .redirectErrorStream(true)
                .redirectOutput(said.toFile())
                .start();
        int exit = process.waitFor();
        String output = Files.readString(said);
        assumeTrue(
                exit != NO_MOUNT && !output.startsWith("unshare:"),
                () -> "SKIPPED, no file system may be mounted here: " + output);
        assertThat(exit).as(output).isZero();
        List<String> lines =
                output.lines().filter(line -> line.matches("\\S+ \\d+ \\d+")).toList();
        assertThat(lines).as(output).hasSize(4);
        for (String line : lines) {
            String[] words = line.split(" ", -1);
            assertThat(Integer.parseInt(words[1])).as(line).isGreaterThan(5);
            assertThat(Integer.parseInt(words[2])).as(line).isGreaterThan(1);
        }
    }
}
