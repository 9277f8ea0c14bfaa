package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tornado.TornadoDevices.Settings;
import uk.ac.manchester.tornado.api.TaskGraph;
import wan.backend.Storage;
import wan.op.DType;
import wan.selftest.SelfTest;

/** What NVIDIA's compiler makes of the CUDA C that TornadoVM generates. Needs an SDK with the CUDA backend, and nvcc; no GPU. */
class CompiledKernelsTest {
    private static final Pattern NAME = Pattern.compile("__global__ void (\\w+)\\(");
    private static final Pattern COMPILED = Pattern.compile("Function properties for (\\w+)\\s+"
            + "(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads\\s+"
            + "ptxas info\\s+: Used (\\d+) registers(?:.*?(\\d+) bytes smem)?");

    /**
     * One compiled kernel.
     *
     * @param registers of an item
     * @param sharedBytes of a group
     * @param spilledBytes stores, loads and what else lies in local memory
     */
    record Compiled(String kernel, int registers, int sharedBytes, int spilledBytes) {}

    private static List<Compiled> parse(String log) {
        List<Compiled> kernels = new ArrayList<>();
        Matcher matcher = COMPILED.matcher(log);
        while (matcher.find()) {
            int spilled = Integer.parseInt(matcher.group(2))
                    + Integer.parseInt(matcher.group(3))
                    + Integer.parseInt(matcher.group(4));
            String shared = matcher.group(6);
            kernels.add(new Compiled(
                    matcher.group(1),
                    Integer.parseInt(matcher.group(5)),
                    shared == null ? 0 : Integer.parseInt(shared),
                    spilled));
        }
        return kernels;
    }

    @Test
    void whatNvccReports_isRead() {
        String log = """
                ptxas info    : 0 bytes gmem
                ptxas info    : Compiling entry function 'attentionShared' for 'sm_90'
                ptxas info    : Function properties for attentionShared
                    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
                ptxas info    : Used 164 registers, used 1 barriers, 37248 bytes smem
                ptxas info    : Compiling entry function 'rope' for 'sm_90'
                ptxas info    : Function properties for rope
                    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
                ptxas info    : Used 255 registers, used 0 barriers
                ptxas info    : Compile time = 3617.994 ms
                """;
        assertThat(parse(log))
                .containsExactly(new Compiled("attentionShared", 164, 37248, 0), new Compiled("rope", 255, 0, 24));
    }

    private static Optional<Path> nvcc() {
        Stream<String> path = Stream.of(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator, -1));
        Stream<String> toolkit = Stream.of("CUDA_HOME", "CUDA_PATH")
                .map(System::getenv)
                .filter(home -> home != null)
                .map(home -> home + "/bin");
        return Stream.concat(Stream.concat(path, toolkit), Stream.of("/usr/local/cuda/bin"))
                .map(folder -> Path.of(folder, "nvcc"))
                .filter(Files::isExecutable)
                .findFirst();
    }

    /** One source of each kernel: others of it differ in the place of their slot. */
    private static String sources(Path printed) throws IOException {
        Map<String, String> byName = new LinkedHashMap<>();
        for (String source : Files.readString(printed).split("(?=extern \"C\" __global__)", -1)) {
            Matcher name = NAME.matcher(source);
            if (name.find()) {
                byName.putIfAbsent(name.group(1), source);
            }
        }
        // TornadoVM writes it before the kernels that need it.
        return "#include <cuda_fp16.h>\n" + String.join("\n", byName.values());
    }

    @Test
    void kernels_spillNothing(@TempDir Path folder) throws IOException, InterruptedException {
        Optional<Path> nvcc = nvcc();
        boolean sdk = TaskGraph.class.getModule().isNamed();
        boolean cuda = sdk
                && FakeDriver.deviceIsThere()
                && TornadoDevices.list().stream()
                        .anyMatch(device -> device.driver().equals("cuda"));
        if (!cuda || nvcc.isEmpty()) {
            System.err.println(
                    "SKIPPED: " + (cuda ? "there is no nvcc" : "TORNADOVM_HOME is not an SDK with CUDA and a device")
                            + "; no generated kernel was compiled for a GPU, unless FakeDriverTest did");
        }
        assumeTrue(cuda && nvcc.isPresent(), "needs TORNADOVM_HOME with the CUDA backend and a device, and nvcc");
        for (Settings settings : List.of(
                new Settings("shared", Storage.F32, Set.of(), 0),
                new Settings("tensor", new Storage(DType.BF16, DType.F16), Set.of(), 0),
                new Settings("shared", new Storage(DType.BF16, DType.F16), EnumSet.allOf(Library.class), 0),
                new Settings("shared", new Storage(DType.F8_E4M3, DType.F16), EnumSet.allOf(Library.class), 0))) {
            try (TornadoOps ops = TornadoDevices.open("tornado", settings)) {
                assertThat(SelfTest.run(ops, settings.storage(), "")).allMatch(SelfTest.Result::passed);
            }
        }
        Path source = folder.resolve("kernels.cu");
        Files.writeString(source, sources(Path.of(System.getProperty("tornado.print.kernel.dir"))));
        for (String architecture : List.of("sm_90", "sm_100")) {
            List<String> command = List.of(
                    nvcc.get().toString(),
                    "-w",
                    "-arch=" + architecture,
                    "-cubin",
                    "-Xptxas",
                    "-v",
                    "-o",
                    folder.resolve(architecture + ".cubin").toString(),
                    source.toString());
            Path log = folder.resolve(architecture + ".log");
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectOutput(log.toFile())
                    .start();
            assertThat(process.waitFor()).as(Files.readString(log)).isZero();
            assertThat(parse(Files.readString(log)))
                    .as(architecture)
                    .hasSizeGreaterThan(20)
                    .anyMatch(kernel -> kernel.sharedBytes() > 30_000)
                    .anyMatch(kernel -> kernel.kernel().equals("attentionTensor"))
                    .allMatch(kernel -> kernel.spilledBytes() == 0)
                    .allMatch(kernel -> kernel.sharedBytes() <= 48 << 10);
        }
    }
}
