package wan.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TornadoSdkTest {
    @TempDir
    private Path folder;

    @Test
    void flags_areTheTemplates_withTheSdksOwnPlace() throws Exception {
        Path home = Files.createDirectories(folder.resolve("an sdk/share/java/tornado"))
                .resolve("../../..")
                .normalize();
        Files.writeString(
                home.resolve("tornado-argfile.template"),
                "# === JVM mode ===\n-XX:+EnableJVMCI\n\n-Djava.library.path=${TORNADOVM_HOME}/lib\n"
                        + "--module-path ." + File.pathSeparator + "${TORNADOVM_HOME}/share/java/tornado\n"
                        + "--add-modules ALL-SYSTEM,tornado.runtime\n");
        Files.writeString(home.resolve("tornado-argfile"), "-Dmoved=away\n");
        assertThat(TornadoSdk.flags(home))
                .containsExactly(
                        "-XX:+EnableJVMCI",
                        "-Djava.library.path=" + home + "/lib",
                        "--module-path",
                        home + "/share/java/tornado",
                        "--add-modules",
                        "ALL-SYSTEM,tornado.runtime",
                        "-Dtornado.recover.bailout=False");
    }

    @Test
    void flags_comeFromTheExpandedFile_whenThereIsNoTemplate() throws Exception {
        Files.createDirectories(folder.resolve("share/java/tornado"));
        Files.writeString(folder.resolve("tornado-argfile"), "-server\n");
        assertThat(TornadoSdk.flags(folder)).containsExactly("-server", "-Dtornado.recover.bailout=False");
    }

    @Test
    void flags_sayWhatIsMissing_whenItIsNoSdk() throws Exception {
        assertThatThrownBy(() -> TornadoSdk.flags(folder)).hasMessage("no tornado-argfile in it");
        Files.writeString(folder.resolve("tornado-argfile"), "-server\n");
        assertThatThrownBy(() -> TornadoSdk.flags(folder)).hasMessage("no share/java/tornado in it");
    }
}
