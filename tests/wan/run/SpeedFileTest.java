package wan.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.op.Grid;
import wan.selftest.SelfTestCases;
import wan.selftest.SelfTestCheck;

class SpeedFileTest {
    private static final Map<String, Double> SECONDS = Map.of("jvm", 0.92, "onednn:bf16", 1.159);

    @TempDir
    private Path folder;

    @Test
    void measurements_areFoundAgain_onTheSameMachineAtTheSameSizes() {
        Path nested = folder.resolve("a/b");
        new SpeedFile(nested, "EPYC").put("2 threads", SECONDS);
        assertThat(new SpeedFile(nested, "EPYC").get("2 threads")).isEqualTo(SECONDS);
        assertThat(new SpeedFile(nested, "EPYC").get("3 threads")).isEmpty();
        assertThat(new SpeedFile(nested, "Xeon").get("2 threads")).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "\n",
                "EPYC; 2 threads\n",
                "EPYC; 2 threads\njvm\n",
                "EPYC; 2 threads\njvm -1\n",
                "EPYC; 2 threads\njvm NaN\n",
                "other\njvm 0.5\n",
                "\u0000\u0001"
            })
    void brokenFile_isAsGoodAsNone_andIsReplaced(String content) throws IOException {
        SpeedFile kept = new SpeedFile(folder, "EPYC");
        Files.writeString(kept.file("2 threads"), content);
        assertThat(kept.get("2 threads")).isEmpty();
        kept.put("2 threads", SECONDS);
        assertThat(kept.get("2 threads")).isEqualTo(SECONDS);
    }

    @Test
    void folderThatCannotBe_isNoFailure() throws IOException {
        Path file = Files.createFile(folder.resolve("file"));
        SpeedFile kept = new SpeedFile(file.resolve("below"), "EPYC");
        kept.put("2 threads", SECONDS);
        assertThat(kept.get("2 threads")).isEmpty();
    }

    @Test
    void layerOfARun_isCountedFromWhatIsMeasured() {
        // 21 frames of keys: three are measured, and attention counts seven times.
        SelfTestCheck check = SelfTestCheck.ofRun(new Grid(1, 30, 52), 12, 128, 8960, 21, SpeedFile.ofThisMachine());
        assertThat(check.layer().times()).isEqualTo(Map.of("linear", 6.0, "linearGelu", 2.0, "attention", 7.0));
        assertThat(check.sizes().stream().map(SelfTestCases.Case::size))
                .contains("[1, 12, 1560, 128], 4680 keys", "[1560, 1536] x [8960, 1536]");
        // A frame of 14B is too much to measure: a part of its rows is.
        SelfTestCheck large = SelfTestCheck.ofRun(new Grid(1, 30, 52), 40, 128, 13824, 1, SpeedFile.ofThisMachine());
        assertThat(large.sizes().stream().map(SelfTestCases.Case::size)).contains("[1, 40, 312, 128], 312 keys");
        assertThat(large.layer().times()).isEqualTo(Map.of("linear", 30.0, "linearGelu", 10.0, "attention", 25.0));
    }
}
