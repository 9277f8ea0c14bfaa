package release;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TimeZone;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WheelTest {
    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path dir;

    @Test
    void wheel_hasTheModulesAndTheirRecord() throws IOException {
        Path wheel = Wheel.write(Path.of(""), dir, "1.2.3");
        assertThat(wheel.getFileName()).hasToString("wan_attn-1.2.3-py3-none-any.whl");
        try (ZipFile zip = new ZipFile(wheel.toFile())) {
            String record = text(zip, "wan_attn-1.2.3.dist-info/RECORD");
            assertThat(zip.stream().map(Object::toString).toList())
                    .contains("wan_attn/__init__.py", "wan_attn-1.2.3.dist-info/METADATA")
                    .allMatch(record::contains);
            assertThat(text(zip, "wan_attn-1.2.3.dist-info/METADATA"))
                    .startsWith("Metadata-Version: 2.1\nName: wan-attn\nVersion: 1.2.3\n")
                    .contains("Requires-Dist: numpy\n");
        }
        byte[] once = Files.readAllBytes(wheel);
        TimeZone before = TimeZone.getDefault();
        try {
            TimeZone.setDefault(TimeZone.getTimeZone("Asia/Tokyo"));
            assertThat(Files.readAllBytes(Wheel.write(Path.of(""), dir, "1.2.3")))
                    .isEqualTo(once);
        } finally {
            TimeZone.setDefault(before);
        }
    }

    private static String text(ZipFile zip, String name) throws IOException {
        return new String(zip.getInputStream(zip.getEntry(name)).readAllBytes(), StandardCharsets.UTF_8);
    }

    /** pip checks every hash of the record. */
    @Test
    void pip_installsIt() throws IOException, InterruptedException {
        List<String> python = List.of("/usr/bin/python3", "-m", "pip");
        Assumptions.assumeTrue(
                Files.isExecutable(Path.of(python.getFirst())) && run(python, "--version") == 0,
                "needs /usr/bin/python3 with pip (Debian: python3-pip)");
        Path wheel = Wheel.write(Path.of(""), dir, VersionTest.version());
        Path target = dir.resolve("installed");
        assertThat(run(
                        python,
                        "install",
                        "--quiet",
                        "--no-index",
                        "--no-deps",
                        "--disable-pip-version-check",
                        "--target",
                        target.toString(),
                        wheel.toString()))
                .isZero();
        assertThat(target.resolve("wan_attn/__init__.py")).exists();
    }

    private static int run(List<String> program, String... arguments) throws IOException, InterruptedException {
        List<String> command = new java.util.ArrayList<>(program);
        command.addAll(List.of(arguments));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start()
                .waitFor();
    }
}
