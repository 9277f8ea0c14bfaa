package wan.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
        Files.createFile(home.resolve("share/java/tornado/tornado-api-5.2.0-jdk25.jar"));
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
                        "-Dwan.tornado.version=5.2.0-jdk25",
                        "-Dtornado.recover.bailout=False");
    }

    @Test
    void flags_comeFromTheExpandedFile_whenThereIsNoTemplate() throws Exception {
        Files.createFile(
                Files.createDirectories(folder.resolve("share/java/tornado")).resolve("tornado-api-5.2.0.jar"));
        Files.writeString(folder.resolve("tornado-argfile"), "-server\n");
        assertThat(TornadoSdk.flags(folder))
                .containsExactly("-server", "-Dwan.tornado.version=5.2.0", "-Dtornado.recover.bailout=False");
    }

    @Test
    void flags_letTheCudaBackendCallNatives() throws Exception {
        Path jars = Files.createDirectories(folder.resolve("share/java/tornado"));
        for (String jar : List.of(
                "tornado-api-5.2.0-jdk25.jar",
                "tornado-drivers-cuda-5.2.0-jdk25.jar",
                "tornado-drivers-cuda-jni-5.2.0-jdk25-libs.jar")) {
            Files.createFile(jars.resolve(jar));
        }
        Files.writeString(folder.resolve("tornado-argfile"), "-server\n");
        assertThat(TornadoSdk.flags(folder))
                .containsExactly(
                        "-server",
                        "--enable-native-access=tornado.drivers.cuda",
                        "-Dwan.tornado.version=5.2.0-jdk25",
                        "-Dtornado.recover.bailout=False");
    }

    @Test
    void flags_sayWhatIsMissing_whenItIsNoSdk() throws Exception {
        Path missing = folder.resolve("missing");
        assertThatThrownBy(() -> TornadoSdk.flags(missing))
                .hasMessage("expected a TornadoVM SDK 5.2.0-jdk25 or newer there, got no folder");
        assertThatThrownBy(() -> TornadoSdk.flags(folder))
                .hasMessage(
                        "expected a TornadoVM SDK 5.2.0-jdk25 or newer there, got a folder without share/java/tornado");
        Path jars = Files.createDirectories(folder.resolve("share/java/tornado"));
        assertThatThrownBy(() -> TornadoSdk.flags(folder)).hasMessageEndingWith("got no tornado-api jar");
        for (String old :
                new String[] {"tornado-api-1.1.1.jar", "tornado-api-5.2.0-jdk21.jar", "tornado-api-5.1.9-jdk25.jar"}) {
            Path jar = Files.createFile(jars.resolve(old));
            assertThatThrownBy(() -> TornadoSdk.flags(folder)).hasMessageEndingWith("or newer there, got " + old);
            Files.delete(jar);
        }
        for (String fitting :
                new String[] {"tornado-api-5.2.0-jdk25.jar", "tornado-api-5.10.0-dev.jar", "tornado-api-6.0.jar"}) {
            Path jar = Files.createFile(jars.resolve(fitting));
            assertThatThrownBy(() -> TornadoSdk.flags(folder))
                    .hasMessage("expected a tornado-argfile in it, got none; write it with"
                            + " bin/gen-tornado-argfile-template.py and the backend's name");
            Files.delete(jar);
        }
    }
}
