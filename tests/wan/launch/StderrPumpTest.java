package wan.launch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class StderrPumpTest {
    private static final String WARNING = "WARNING: Using incubator modules: jdk.incubator.vector";

    private static String pumped(String text, int piece) {
        InputStream in = new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8)) {
            @Override
            public synchronized int read(byte[] buffer, int offset, int length) {
                return super.read(buffer, offset, Math.min(length, piece));
            }
        };
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        new StderrPump(in, out).run();
        return out.toString(StandardCharsets.UTF_8);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 7, 54, 55, 8192})
    void run_dropsTheWarning_howeverItArrives(int piece) {
        String before = "Picked up JAVA_TOOL_OPTIONS: -Dx\nWARNING: Using something\n";
        String after = "12 %\r34 % ü\nWARNING: last";
        assertThat(pumped(before + WARNING + "\n" + after, piece)).isEqualTo(before + after);
        assertThat(pumped(WARNING + ", another\r\n", piece)).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "WARNING: Using incub",
        "W",
        "''",
        "'a\n\nWARN'",
        "'x WARNING: Using incubator modules: jdk.incubator.vector'"
    })
    void run_keepsEverythingElse(String text) {
        assertThat(pumped(text, 2)).isEqualTo(text);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 8192})
    void run_tellsInOneLine_whyTheJvmCannotStart(int piece) {
        String said =
                "Error occurred during initialization of VM\nCould not reserve enough space for 24117248KB object heap\n";
        assertThat(pumped(said, piece))
                .isEqualTo(
                        "wan-attn: Java cannot start: Could not reserve enough space for 24117248KB object heap; allow it"
                                + " more memory (ulimit -v counts what it reserves), or less heap with --heap SIZE\n");
        assertThat(pumped(
                        "Error occurred during initialization of VM\nUnable to load native library: x\nmore\n", piece))
                .isEqualTo("wan-attn: Java cannot start: Unable to load native library: x\n");
        assertThat(pumped("Error occurred elsewhere\n", piece)).isEqualTo("Error occurred elsewhere\n");
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 8192})
    void run_dropsItOnce(int piece) {
        assertThat(pumped(WARNING + "\n" + WARNING + "\n", piece)).isEqualTo(WARNING + "\n");
    }

    @Test
    void run_readsToTheEnd_whenNobodyTakesIt() throws Exception {
        InputStream in = new ByteArrayInputStream(new byte[100_000]);
        OutputStream closed = OutputStream.nullOutputStream();
        closed.close();
        new StderrPump(in, closed).run();
        assertThat(in.available()).isZero();
    }
}
