package wan.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JdkSearchTest {
    @TempDir
    private Path folder;

    private final Map<String, String> env = new HashMap<>();
    private Path running;
    private Path jvms;

    @BeforeEach
    void aMachineWithAnOldJavaOnly() throws Exception {
        running = FakeJdk.create(folder.resolve("running"), "17.0.15");
        jvms = Files.createDirectories(folder.resolve("jvms"));
    }

    private JdkSearch search() {
        return new JdkSearch(env, running, List.of(folder.resolve("absent"), jvms));
    }

    @Test
    void find_takesJavaHome_beforeEverythingElse() throws Exception {
        Path home = FakeJdk.create(folder.resolve("home with space"), "25");
        env.put("JAVA_HOME", home.toString());
        running = FakeJdk.create(folder.resolve("new"), "26");
        FakeJdk.create(jvms.resolve("b"), "27");
        assertThat(search().find(false).home()).isEqualTo(home);
    }

    @Test
    void find_takesTheRunningJava_whenItIsNewEnough() throws Exception {
        env.put("JAVA_HOME", FakeJdk.create(folder.resolve("old"), "21").toString());
        running = FakeJdk.create(folder.resolve("new"), "25");
        FakeJdk.create(jvms.resolve("b"), "27");
        assertThat(search().find(false).home()).isEqualTo(running);
    }

    @Test
    void find_takesTheHighest_inTheUsualFolders() throws Exception {
        FakeJdk.create(jvms.resolve("a"), "25.0.9");
        Path best = FakeJdk.create(jvms.resolve("b"), "25.0.10");
        FakeJdk.create(jvms.resolve("c"), "24");
        FakeJdk.create(jvms.resolve("d"), "28", "java.base", "exit 0");
        Files.createDirectories(jvms.resolve("empty"));
        assertThat(search().find(false).home()).isEqualTo(best);
    }

    @Test
    void find_takesTheLowestWithJvmci_whenTornadoIsWanted() throws Exception {
        env.put("JAVA_HOME", FakeJdk.create(folder.resolve("home"), "27").toString());
        FakeJdk.create(jvms.resolve("a"), "26");
        Path best = FakeJdk.create(jvms.resolve("b"), "25.0.3");
        assertThat(search().find(true).home()).isEqualTo(best);
    }

    @Test
    void find_followsThePath_atLast() throws Exception {
        Path home = FakeJdk.create(folder.resolve("elsewhere"), "25");
        Path bin = Files.createDirectories(folder.resolve("usr/bin"));
        Files.createSymbolicLink(bin.resolve("java"), home.resolve("bin/java"));
        env.put("PATH", folder.resolve("nothing") + File.pathSeparator + File.pathSeparator + bin);
        assertThat(search().find(false).home().toRealPath()).isEqualTo(home.toRealPath());
    }

    @Test
    void choose_saysWhereItLooked_whenThereIsNone() throws Exception {
        env.put("JAVA_HOME", folder.resolve("gone").toString());
        FakeJdk.create(jvms.resolve("older"), "21.0.2");
        assertThatThrownBy(() -> Launcher.choose(search(), null, false))
                .isInstanceOfSatisfying(
                        LaunchException.class, e -> assertThat(e.exitCode).isEqualTo(1))
                .hasMessageStartingWith("no JDK 25 or newer found; looked at JAVA_HOME " + folder.resolve("gone"))
                .hasMessageContaining(running + " (17.0.15)")
                .hasMessageContaining(jvms.resolve("older") + " (21.0.2)")
                .hasMessageContaining("--java PATH")
                .hasMessageNotContaining("\n");
    }

    @Test
    void choose_goesOnWithoutJvmci_whenOnlySuchAJdkIsThere() throws Exception {
        Path only = FakeJdk.create(jvms.resolve("a"), "27");
        assertThat(Launcher.choose(search(), null, true).home()).isEqualTo(only);
    }

    @Test
    void named_takesAHomeOrItsJava_andTheOptionBeforeTheVariable() throws Exception {
        Path one = FakeJdk.create(folder.resolve("one"), "25");
        Path two = FakeJdk.create(folder.resolve("two"), "25");
        env.put("WAN_ATTN_JAVA", two.resolve("bin/java").toString());
        assertThat(search().named(null).home().toRealPath()).isEqualTo(two.toRealPath());
        assertThat(search().named(one.toString()).home()).isEqualTo(one);
    }

    @Test
    void named_isNull_whenNothingIsNamed() throws Exception {
        env.put("WAN_ATTN_JAVA", " ");
        assertThat(search().named(null)).isNull();
    }

    @Test
    void named_isAnError_whenItDoesNotRunTheProgram() throws Exception {
        env.put("WAN_ATTN_JAVA", folder.resolve("gone").toString());
        assertThatThrownBy(() -> search().named(null))
                .hasMessage("WAN_ATTN_JAVA=" + folder.resolve("gone")
                        + ": expected a JDK home or its java program, found none there");
        assertThatThrownBy(() -> search().named(running.toString()))
                .isInstanceOfSatisfying(
                        LaunchException.class, e -> assertThat(e.exitCode).isEqualTo(2))
                .hasMessageContaining("got Java 17.0.15");
    }
}
