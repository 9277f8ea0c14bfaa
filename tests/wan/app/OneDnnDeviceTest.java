package wan.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.file.Safetensors;
import wan.jvm.OneDnnProvider;
import wan.jvm.onednn.OneDnnStatus;

/** The device {@code onednn} on the command line. */
class OneDnnDeviceTest {
    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    private static OneDnnStatus there(String device) {
        OneDnnStatus status = OneDnnStatus.find();
        assumeTrue(status.isThere(), status.problem());
        assumeTrue(status.int8() || !device.equals("onednn:int8"), "SKIPPED: int8 needs VNNI, this is " + status.isa());
        return status;
    }

    @Test
    void oneDnn_isThere_whereThereIsABuildOfIt() {
        boolean linux = System.getProperty("os.name").equals("Linux")
                && System.getProperty("os.arch").equals("amd64");
        assumeTrue(
                linux && !System.getProperty("wan.onednn.library", "").isEmpty(), "no build of oneDNN for this system");
        assertThat(OneDnnStatus.find().problem()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"onednn:bf16", "onednn:f32", "onednn:int8"})
    void extract_saysInTheFileWhatComputed(String device) {
        OneDnnStatus status = there(device);
        Path result = folder.resolve("result.safetensors");
        CommandLineRun run = CommandLineRun.of(
                "extract", "--layer", "1", "--num-frames", "4", "--device", device, "--output", result);
        assertThat(run.exitCode()).as(run.err()).isZero();
        String backend = "jvm, " + device + " " + status.version() + " " + status.isa();
        assertThat(run.err()).contains("wan-attn: device " + backend);
        assertThat(run.err().contains("wan-attn: onednn:int8 rounds what most linear layers multiply to 8 bits"))
                .isEqualTo(device.equals("onednn:int8"));
        try (Safetensors file = Safetensors.open(result)) {
            assertThat(file.metadata().toString()).contains(backend);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"onednn:bf16", "onednn:f32", "onednn:int8"})
    void selftest_passes(String device) {
        there(device);
        CommandLineRun run = CommandLineRun.of("selftest", "--device", device);
        assertThat(run.exitCode()).as(run.out()).isZero();
        assertThat(run.out()).contains("jvm, " + device).doesNotContain("WRONG");
    }

    @Test
    void int8_isTakenByNameOnly() {
        there("onednn:int8");
        assertThat(new OneDnnProvider().forms()).contains("onednn:int8");
        assertThat(new OneDnnProvider().preferred()).isNotEmpty().doesNotContain("onednn:int8");
    }

    @Test
    void devices_listIt() {
        assertThat(CommandLineRun.of("devices").out()).contains("\nonednn  ");
    }

    @Test
    void type_isRefused_whenThereAreNoProductsOfIt() {
        there("onednn");
        CommandLineRun run = CommandLineRun.of("extract", "--layer", "1", "--device", "onednn:f16");
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err())
                .contains("--device: expected onednn, onednn:bf16, onednn:f32 or onednn:int8, got 'onednn:f16'");
    }

    /** In a JVM of its own: the library is loaded once. */
    @Test
    void device_isRefusedWithTheFix_whenTheLibraryIsNotThere() throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "-cp",
                System.getProperty("java.class.path"),
                "wan.app.Main",
                "extract",
                "--layer",
                "1",
                "--device",
                "onednn");
        Process process = builder.directory(folder.toFile())
                .redirectError(ProcessBuilder.Redirect.to(folder.resolve("err").toFile()))
                .start();
        process.getInputStream().readAllBytes();
        assumeTrue(process.waitFor() != 0, "this system has oneDNN among its libraries");
        String err = Files.readString(folder.resolve("err"), StandardCharsets.UTF_8);
        assertThat(err)
                .contains("wan-attn: --device onednn: the library oneDNN is not there: ")
                .contains("mvn -Ponednn -DskipTests package");
        assertThat(process.exitValue()).isEqualTo(2);
    }
}
