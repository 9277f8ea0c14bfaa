package wan.launch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ArgumentsTest {
    @Test
    void of_takesItsOwnOptions_fromAnywhere() throws Exception {
        Arguments arguments =
                Arguments.of(new String[] {"extract", "--heap=8g", "--layer", "3", "--java", "/a b/java"});
        assertThat(arguments).isEqualTo(new Arguments("/a b/java", "8g", List.of("extract", "--layer", "3")));
    }

    @Test
    void of_leavesWhatFollowsADoubleDash() throws Exception {
        Arguments arguments = Arguments.of(new String[] {"--java=x", "--", "--heap", "y"});
        assertThat(arguments).isEqualTo(new Arguments("x", null, List.of("--", "--heap", "y")));
    }

    @ParameterizedTest
    @ValueSource(strings = {"--java", "--heap"})
    void of_complains_whenAValueIsMissing(String option) {
        assertThatThrownBy(() -> Arguments.of(new String[] {"extract", option}))
                .isInstanceOfSatisfying(
                        LaunchException.class, e -> assertThat(e.exitCode).isEqualTo(2))
                .hasMessageContaining(option);
    }

    @ParameterizedTest
    @CsvSource({
        ", -XX:MaxRAMPercentage=75",
        "20g, -Xmx20g",
        "800M, -Xmx800M",
        "60%, -XX:MaxRAMPercentage=60",
        "100%, -XX:MaxRAMPercentage=100"
    })
    void heapFlag_isWhatTheJvmTakes(String heap, String flag) throws Exception {
        assertThat(new Arguments(null, heap, List.of()).heapFlag()).isEqualTo(flag);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "g", "8", "8gb", "0%", "101%", "-3g", "1.5g", "99999999999g", "8 g"})
    void heapFlag_complains_whenItIsNotASize(String heap) {
        assertThatThrownBy(() -> new Arguments(null, heap, List.of()).heapFlag())
                .hasMessage("--heap " + heap + ": expected a size as 20g, 800m or 60%");
    }

    @Test
    void isOfVideo_isTrueOfDecodeAndEncode() throws Exception {
        assertThat(Arguments.of(new String[] {"--heap", "4g", "decode", "x"}).isOfVideo())
                .isTrue();
        assertThat(Arguments.of(new String[] {"encode", "x"}).isOfVideo()).isTrue();
        assertThat(Arguments.of(new String[] {"extract", "decode"}).isOfVideo()).isFalse();
        assertThat(Arguments.of(new String[0]).isOfVideo()).isFalse();
    }

    @Test
    void isShort_isTrueOfCommandsThatReadResults() throws Exception {
        assertThat(Arguments.of(new String[] {"--heap=1g", "report", "r.safetensors"})
                        .isShort())
                .isTrue();
        assertThat(Arguments.of(new String[] {"extract", "report"}).isShort()).isFalse();
        assertThat(Arguments.of(new String[0]).isShort()).isFalse();
    }

    @Test
    void restored_readsTheBytesOfTheCommandLine(@TempDir Path folder) throws Exception {
        Path file = Files.writeString(folder.resolve("cmdline"), "java\0-jar\0x.jar\0--prompt\0一只猫\0\0");
        assertThat(Arguments.restored(new String[] {"--prompt", "?????????", ""}, file))
                .containsExactly("--prompt", "一只猫", "");
    }

    @Test
    void restored_keepsWhatThereIs_whenTheBytesDoNotHelp(@TempDir Path folder) throws Exception {
        String[] args = {"?"};
        assertThat(Arguments.restored(args, folder.resolve("missing"))).isSameAs(args);
        Path latin = Files.write(folder.resolve("latin"), new byte[] {'j', 0, (byte) 0xfc, 0});
        assertThat(Arguments.restored(args, latin)).isSameAs(args);
        Path shorter = Files.writeString(folder.resolve("short"), "?\0");
        assertThat(Arguments.restored(args, shorter)).isSameAs(args);
    }

    @Test
    void openFiles_getNamesThatAnotherProcessCanOpen(@TempDir Path own) throws Exception {
        Files.createFile(own.resolve("63"));
        Files.createFile(own.resolve("0"));
        String[] args = {
            "extract", "--spec=/dev/fd/63", "/proc/self/fd/63", "--prompt", "see /dev/fd/63", "/dev/fd/0", "/dev/fd/64"
        };
        assertThat(Arguments.of(args).restWithFiles(own))
                .containsExactly(
                        "extract",
                        "--spec=" + own.resolve("63"),
                        own.resolve("63").toString(),
                        "--prompt",
                        "see /dev/fd/63",
                        "/dev/fd/0",
                        "/dev/fd/64");
    }
}
