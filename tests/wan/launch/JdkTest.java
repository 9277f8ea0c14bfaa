package wan.launch;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JdkTest {
    @TempDir
    private Path folder;

    @ParameterizedTest
    @CsvSource({"25.0.3, 25", "25, 25", "26-ea, 26", "17.0.15+6, 17", "1.8.0_392, 1", "'', 0", "abc, 0", "99999, 9999"})
    void feature_isTheFirstNumber(String version, int feature) {
        assertThat(Jdk.feature(version)).isEqualTo(feature);
    }

    @Test
    void at_readsTheReleaseFile() throws Exception {
        Jdk jdk = Jdk.at(FakeJdk.create(folder, "25.0.3"));
        assertThat(jdk.version()).isEqualTo("25.0.3");
        assertThat(jdk.feature()).isEqualTo(25);
        assertThat(jdk.executable()).isEqualTo(folder.resolve("bin/java"));
        assertThat(jdk.runsTheProgram()).isTrue();
        assertThat(jdk.runsTornado()).isTrue();
    }

    @Test
    void at_readsTheRunningJdk() {
        Jdk jdk = Jdk.at(Path.of(System.getProperty("java.home")));
        assertThat(jdk.feature()).isEqualTo(Runtime.version().feature());
        assertThat(jdk.runsTheProgram()).isTrue();
    }

    @Test
    void at_asksTheProgram_whenThereIsNoReleaseFile() throws Exception {
        String settings =
                "echo 'Property settings:'; echo '    java.version = 25.0.9'; echo '    java.version.date = x'";
        Path home = FakeJdk.create(folder.resolve("bare"), "1", "", settings);
        Files.delete(home.resolve("release"));
        assertThat(Jdk.at(home).version()).isEqualTo("25.0.9");
        assertThat(Jdk.at(home).runsTheProgram()).isTrue();
        Path silent = FakeJdk.create(folder.resolve("silent"), "25", "", "exit 1");
        Files.delete(silent.resolve("release"));
        assertThat(Jdk.at(silent)).isNull();
    }

    @Test
    void at_looksIntoTheBundle_onMacOs() throws Exception {
        Path inner = FakeJdk.create(folder.resolve("Contents/Home"), "26");
        assertThat(Jdk.at(folder).home()).isEqualTo(inner);
    }

    @Test
    void at_isNull_whenThereIsNoJava() throws Exception {
        assertThat(Jdk.at(folder)).isNull();
        assertThat(Jdk.at(folder.resolve("missing"))).isNull();
        Files.writeString(folder.resolve("release"), "JAVA_VERSION=\"25\"\n");
        assertThat(Jdk.at(folder)).isNull();
    }

    @Test
    void runsTheProgram_isFalse_whenTooOldOrWithoutTheVectorModule() throws Exception {
        assertThat(Jdk.at(FakeJdk.create(folder.resolve("old"), "24.0.2")).runsTheProgram())
                .isFalse();
        Path trimmed = FakeJdk.create(folder.resolve("trimmed"), "25", "java.base", "exit 0");
        assertThat(Jdk.at(trimmed).runsTheProgram()).isFalse();
        Path silent = FakeJdk.create(folder.resolve("silent"), "25", "", "exit 0");
        assertThat(Jdk.at(silent).runsTheProgram()).isTrue();
    }

    @Test
    void runsTornado_isFalse_whenWithoutJvmci() throws Exception {
        assertThat(Jdk.at(FakeJdk.create(folder.resolve("later"), "27")).runsTornado())
                .isFalse();
        Path trimmed = FakeJdk.create(folder.resolve("trimmed"), "25", "java.base jdk.incubator.vector", "exit 0");
        assertThat(Jdk.at(trimmed).runsTornado()).isFalse();
    }
}
