package wan.launch;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The launcher as a process of its own, with shell scripts for {@code java} where the program itself does not matter. */
@DisabledOnOs(OS.WINDOWS)
class LauncherProcessTest {
    private static final Path JAVA = Path.of(System.getProperty("java.home"), "bin", "java");
    private static final int LIMIT_SECONDS = 60;

    @TempDir
    private Path folder;

    private record Result(int exitCode, String out, String err) {}

    private static ProcessBuilder launcher(Map<String, String> env, String... args) {
        List<String> command = new ArrayList<>(
                List.of(JAVA.toString(), "-cp", System.getProperty("java.class.path"), "wan.launch.Launcher"));
        command.addAll(List.of(args));
        return process(env, command);
    }

    private static ProcessBuilder process(Map<String, String> env, List<String> command) {
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.environment()
                .keySet()
                .removeAll(List.of("JAVA_HOME", "WAN_ATTN_JAVA", "WAN_ATTN_JAVA_OPTS", "TORNADOVM_HOME"));
        builder.environment().put("LC_ALL", "C.UTF-8");
        builder.environment().putAll(env);
        return builder;
    }

    private Result run(ProcessBuilder builder, String stdin) throws Exception {
        Path out = folder.resolve("out");
        Path err = folder.resolve("err");
        Process process =
                builder.redirectOutput(out.toFile()).redirectError(err.toFile()).start();
        try (OutputStream input = process.getOutputStream()) {
            input.write(stdin.getBytes(UTF_8));
        } catch (IOException e) {
            // It has ended without reading.
        }
        if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
            process.destroyForcibly();
        }
        return new Result(process.waitFor(), Files.readString(out), Files.readString(err));
    }

    private Map<String, String> scripted(String script) throws IOException {
        return Map.of(
                "WAN_ATTN_JAVA",
                FakeJdk.create(folder.resolve("a jdk"), "25", FakeJdk.ALL_MODULES, script)
                        .toString());
    }

    @Test
    void launcher_passesArgumentsStdinAndTheExitCode() throws Exception {
        Map<String, String> env = scripted(
                "while [ \"$1\" != wan.app.Main ]; do shift; done; for a; do echo \"<$a>\"; done; cat; exit 7");
        Result result = run(launcher(env, "extract", "--heap=1g", "two words", "ü", ""), "from stdin");
        assertThat(result).isEqualTo(new Result(7, "<wan.app.Main>\n<extract>\n<two words>\n<ü>\n<>\nfrom stdin", ""));
    }

    /** As {@code bash -c 'wan-attn ... <(echo a cat)'} does. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void program_readsAPipe_thatOnlyTheLauncherHasOpen() throws Exception {
        Map<String, String> env = scripted("for a; do last=$a; done; cat \"$last\"");
        List<String> command = new ArrayList<>(List.of("sh", "-c", "exec 3<<X; exec \"$@\"\na cat\nX\n", "sh"));
        command.addAll(launcher(env, "tokenize", "--prompt-file", "/dev/fd/3").command());
        assertThat(run(process(env, command), "").out()).isEqualTo("a cat\n");
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void launcher_saysWhatIsTooSmall_whereJavaGivesUp() throws Exception {
        Map<String, String> env = scripted("echo \"$1\"; kill -ABRT $$");
        List<String> command = new ArrayList<>(List.of("sh", "-c", "ulimit -v 60000000; exec \"$@\"", "sh"));
        command.addAll(launcher(env, "presets").command());
        Result limited = run(process(env, command), "");
        assertThat(limited.exitCode()).isEqualTo(134);
        assertThat(limited.out()).isEqualTo("-XX:+SuppressFatalErrorMessage\n");
        assertThat(limited.err()).contains("ulimit -v is too small").hasLineCount(1);
    }

    @Test
    void launcher_givesTheFlags_withTheUsersLast() throws Exception {
        Map<String, String> env = new HashMap<>(scripted("for a; do echo \"$a\"; done"));
        env.put("WAN_ATTN_JAVA_OPTS", " -Xlog:gc  -XX:+UseSerialGC ");
        Result result = run(launcher(env, "--heap", "3g"), "");
        assertThat(result.out().lines())
                .containsSubsequence(
                        "--add-modules",
                        "jdk.incubator.vector",
                        "--enable-native-access=ALL-UNNAMED",
                        "-Xmx3g",
                        "-Xlog:gc",
                        "-XX:+UseSerialGC",
                        "-Dwan.stderr.terminal=false",
                        "-cp",
                        "wan.app.Main")
                .doesNotContain("-XX:+UseParallelGC");
    }

    @Test
    void launcher_takesTheCacheBesideTheJar_butNotBesideTheUsersOwn() throws Exception {
        Map<String, String> env = new HashMap<>(scripted("for a; do echo \"$a\"; done"));
        Path jar = folder.resolve("program.jar");
        writeJar(jar);
        List<String> command = List.of(JAVA.toString(), "-jar", jar.toString());
        assertThat(run(process(env, command), "").out().lines())
                .containsSubsequence("-cp", jar.toString())
                .noneMatch(flag -> flag.startsWith("-XX:AOT"));
        Path cache = Files.createFile(folder.resolve("program.aot"));
        assertThat(run(process(env, command), "").out().lines())
                .containsSubsequence("-XX:AOTCache=" + cache, "-cp", jar.toString());
        // The JVM knows a jar by its absolute path.
        List<String> relative = List.of(JAVA.toString(), "-jar", "program.jar");
        assertThat(run(process(env, relative).directory(folder.toFile()), "")
                        .out()
                        .lines())
                .containsSubsequence("-XX:AOTCache=" + cache, "-cp", jar.toString());
        env.put("WAN_ATTN_JAVA_OPTS", "-XX:AOTCacheOutput=other.aot");
        assertThat(run(process(env, command), "").out().lines())
                .contains("-XX:AOTCacheOutput=other.aot")
                .doesNotContain("-XX:AOTCache=" + cache);
    }

    /** A damaged cache, or one of another jar or JDK: the JVM starts without it and says nothing. */
    @Test
    void program_startsSilently_whereTheCacheIsNone() throws Exception {
        Path jar = folder.resolve("program.jar");
        writeJar(jar);
        Files.writeString(folder.resolve("program.aot"), "no cache");
        Map<String, String> env = Map.of("WAN_ATTN_JAVA", System.getProperty("java.home"));
        Result result = run(process(env, List.of(JAVA.toString(), "-jar", jar.toString(), "--version")), "");
        assertThat(result.out()).startsWith("wan-attn 1.2.3\n");
        assertThat(result.err()).isEmpty();
    }

    @Test
    void launcher_addsTheFlagsOfTornado_orSaysWhyNot() throws Exception {
        Map<String, String> env = new HashMap<>(scripted("for a; do echo \"$a\"; done"));
        Path sdk = folder.resolve("sdk");
        env.put("TORNADOVM_HOME", sdk.toString());
        Result without = run(launcher(env), "");
        assertThat(without.exitCode()).isZero();
        // The program says it, and only where it is asked for a device.
        assertThat(without.err()).isEmpty();
        assertThat(without.out().lines())
                .contains("-Dwan.tornado.problem=TORNADOVM_HOME=" + sdk
                        + ": expected a TornadoVM SDK 5.2.0-jdk25 or newer there, got no folder");

        Files.createFile(
                Files.createDirectories(sdk.resolve("share/java/tornado")).resolve("tornado-api-5.2.0-jdk25.jar"));
        Files.writeString(sdk.resolve("tornado-argfile.template"), "-Djava.library.path=${TORNADOVM_HOME}/lib\n");
        Result with = run(launcher(env), "");
        assertThat(with.out().lines())
                .startsWith(
                        "-Djava.library.path=" + sdk + "/lib",
                        "-Dwan.tornado.version=5.2.0-jdk25",
                        "-Dtornado.recover.bailout=False");
        assertThat(with.out()).doesNotContain("wan.tornado.problem");
        assertThat(with.err()).isEmpty();
    }

    @Test
    void launcher_exitsWith128AndTheSignal_whenTheProgramIsKilled() throws Exception {
        assertThat(run(launcher(scripted("kill -KILL $$")), "").exitCode()).isEqualTo(137);
    }

    @Test
    void launcher_letsTheProgramFinish_whenToldToStop() throws Exception {
        Path cleaned = folder.resolve("cleaned");
        Map<String, String> env = scripted("trap 'sleep 0.3; echo done > \"" + cleaned
                + "\"; echo saved >&2; exit 143' TERM; echo ready; " + "for i in $(seq 600); do sleep 0.1; done");
        Process process = launcher(env).redirectErrorStream(true).start();
        try (BufferedReader reader = new BufferedReader(new InputStreamReader(process.getInputStream(), UTF_8))) {
            assertThat(reader.readLine()).isEqualTo("ready");
            boolean _ = process.toHandle().destroy(); // Process.destroy would close the pipe that is read below
            assertThat(process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)).isTrue();
            assertThat(reader.readLine()).isEqualTo("saved");
        } finally {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
        }
        assertThat(process.exitValue()).isEqualTo(143);
        assertThat(cleaned).hasContent("done");
    }

    @Test
    void launcher_exitsWith2_whenTheNamedJavaIsWrong() throws Exception {
        Result result = run(launcher(Map.of(), "--java", folder.toString(), "--version"), "");
        assertThat(result)
                .isEqualTo(new Result(
                        2,
                        "",
                        "wan-attn: --java " + folder
                                + ": expected a JDK home or its java program, found none there\n"));
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void launcher_restoresArguments_inTheCLocale() throws Exception {
        Map<String, String> env =
                new HashMap<>(scripted("while [ \"$1\" != wan.app.Main ]; do shift; done; echo \"$2 $LC_ALL\""));
        env.put("LC_ALL", "C");
        assertThat(run(launcher(env, "一 只"), "").out()).isEqualTo("%E4%B8%80+%E5%8F%AA C.UTF-8\n");
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void program_seesArguments_inTheCLocale() throws Exception {
        Result result = run(launcher(Map.of("LC_ALL", "C"), "一 只"), "");
        assertThat(result.exitCode()).isEqualTo(2);
        assertThat(result.err()).startsWith("wan-attn: unknown command '一 只'");
    }

    @Test
    void program_runsFromALinkToAJar_inAFolderWithSpacesAndUmlauts() throws Exception {
        Path jar = folder.resolve("jar dir ü").resolve("wan attn ü.jar");
        Files.createDirectories(jar.getParent());
        writeJar(jar);
        Path link = Files.createSymbolicLink(folder.resolve("link.jar"), jar);
        for (Path started : List.of(jar, link)) {
            Result result =
                    run(process(Map.of(), List.of(JAVA.toString(), "-jar", started.toString(), "--version")), "");
            assertThat(result.err()).isEmpty();
            assertThat(result.out()).startsWith("wan-attn 1.2.3\nJava ");
            assertThat(result.exitCode()).isZero();
        }
    }

    @Test
    void scriptOfTheArchive_startsTheProgram_fromAnyFolderAndThroughLinks() throws Exception {
        Path home = Files.createDirectories(folder.resolve("a: b;ü/wan-attn-1.2.3"));
        Files.createDirectory(home.resolve("lib"));
        writeJar(home.resolve("lib/wan-attn.jar"));
        Path script = Files.createDirectory(home.resolve("bin")).resolve("wan-attn");
        Files.copy(Path.of("src/dist/bin/wan-attn"), script, StandardCopyOption.COPY_ATTRIBUTES);
        Path links = Files.createDirectory(folder.resolve("links"));
        Files.createSymbolicLink(links.resolve("direct"), links.relativize(script));
        Path twice = Files.createSymbolicLink(links.resolve("wan attn"), Path.of("direct"));
        Map<String, String> env = Map.of("JAVA_HOME", System.getProperty("java.home"));
        for (Path started : List.of(script, twice)) {
            Result result =
                    run(process(env, List.of(started.toString(), "--version")).directory(links.toFile()), "");
            assertThat(result.err()).isEmpty();
            assertThat(result.out()).startsWith("wan-attn 1.2.3\nJava ");
            assertThat(result.exitCode()).isZero();
        }
        Result spaces = run(process(env, List.of(twice.toString(), "a b")), "");
        assertThat(spaces.err()).startsWith("wan-attn: unknown command 'a b'");
        assertThat(spaces.exitCode()).isEqualTo(2);
    }

    @Test
    void program_runsOnTheVectorModule_withoutAWarning() throws Exception {
        Result result = run(launcher(Map.of(), "nothing"), "");
        assertThat(result.exitCode()).isEqualTo(2);
        assertThat(result.out()).isEmpty();
        assertThat(result.err())
                .startsWith("wan-attn: unknown command 'nothing'")
                .hasLineCount(1);
    }

    /** Our own classes, and the rest of the test's class path by reference. */
    private static void writeJar(Path jar) throws Exception {
        Path classes = Path.of(Launcher.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .toURI());
        StringBuilder others = new StringBuilder();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
            if (entry.endsWith(".jar")) {
                others.append(Path.of(entry).toUri()).append(' ');
            }
        }
        Manifest manifest = new Manifest();
        Attributes attributes = manifest.getMainAttributes();
        attributes.put(Attributes.Name.MANIFEST_VERSION, "1.0");
        attributes.put(Attributes.Name.MAIN_CLASS, "wan.launch.Launcher");
        attributes.put(Attributes.Name.IMPLEMENTATION_VERSION, "1.2.3");
        attributes.put(Attributes.Name.CLASS_PATH, others.toString());
        try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar), manifest);
                var files = Files.walk(classes)) {
            for (Path file : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
                out.putNextEntry(new ZipEntry(classes.relativize(file).toString()));
                Files.copy(file, out);
            }
        }
    }
}
