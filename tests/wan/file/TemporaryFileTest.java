package wan.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.op.WanException;

class TemporaryFileTest {
    @TempDir
    Path dir;

    @Test
    void write_removesWhatKilledProgramsLeft_andNothingElse() throws IOException {
        Path target = dir.resolve("a+b.json");
        Files.writeString(dir.resolve("a+b.json.0123abcd.tmp"), "left");
        for (String other :
                List.of("a+b.json.0123abcd.tmp.bak", "aab.json.0123abcd.tmp", "a+b.json.tmp", "a+b.json.xyz.tmp")) {
            Files.writeString(dir.resolve(other), "somebody's");
        }
        OutputFile.write(target, out -> out.write('x'));
        assertThat(target).hasContent("x");
        assertThat(files())
                .containsExactlyInAnyOrder(
                        "a+b.json",
                        "a+b.json.0123abcd.tmp.bak",
                        "aab.json.0123abcd.tmp",
                        "a+b.json.tmp",
                        "a+b.json.xyz.tmp");
    }

    @Test
    void write_leavesAlone_whatIsBeingWritten() throws IOException {
        Path target = dir.resolve("x.json");
        OutputFile.write(target, out -> {
            out.write('1');
            OutputFile.write(target, inner -> inner.write('2'));
            assertThat(target).hasContent("2");
        });
        assertThat(target).hasContent("1");
        assertThat(files()).containsExactly("x.json");
    }

    @Test
    void write_leavesAlone_whatAnotherProcessIsWriting() throws Exception {
        Path target = dir.resolve("x.json");
        Path held = Files.createFile(dir.resolve("x.json.00000001.tmp"));
        Process other = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        System.getProperty("java.class.path"),
                        Holder.class.getName(),
                        held.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try {
            assertThat(other.getInputStream().read()).isEqualTo('h');
            OutputFile.write(target, out -> out.write('x'));
            assertThat(held).exists();
        } finally {
            other.destroyForcibly().waitFor();
        }
        OutputFile.write(target, out -> out.write('y'));
        assertThat(files()).containsExactly("x.json");
    }

    /** Another program that writes a file until it is killed. */
    static final class Holder {
        public static void main(String[] args) throws Exception {
            try (FileChannel channel = FileChannel.open(Path.of(args[0]), StandardOpenOption.WRITE)) {
                System.out.write(channel.tryLock() == null ? '-' : 'h');
                System.out.flush();
                Thread.sleep(60_000);
            }
        }
    }

    @Test
    void write_leavesNothing_whenItFails() throws IOException {
        Path target = Files.writeString(dir.resolve("x.json"), "before");
        assertThatThrownBy(() -> OutputFile.write(target, out -> {
                    out.write('x');
                    throw new IOException("No space left on device");
                }))
                .isExactlyInstanceOf(WanException.class)
                .hasMessage(target + ": cannot write: No space left on device");
        assertThatThrownBy(() -> OutputFile.write(target, out -> {
                    throw new IllegalStateException("a bug");
                }))
                .isInstanceOf(IllegalStateException.class);
        assertThat(target).hasContent("before");
        assertThat(files()).containsExactly("x.json");
    }

    @Test
    void removeAll_removesWhatIsNotFinished() throws IOException {
        Path target = dir.resolve("x.json");
        assertThatThrownBy(() -> OutputFile.write(target, out -> {
                    out.write('x');
                    TemporaryFile.removeAll();
                    assertThat(files()).isEmpty();
                }))
                .isInstanceOf(WanException.class);
        assertThat(files()).isEmpty();
    }

    private List<String> files() throws IOException {
        try (Stream<Path> list = Files.list(dir)) {
            return list.map(p -> p.getFileName().toString()).toList();
        }
    }
}
