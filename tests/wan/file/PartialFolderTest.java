package wan.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.op.DType;
import wan.op.Shape;
import wan.op.WanException;

class PartialFolderTest {
    private static final int ROOM = 1000;
    private static final Pattern NAMES = Pattern.compile("data|o\\.pt");

    @TempDir
    Path dir;

    private static ObjectNode number(int i) {
        return JsonMapper.shared().createObjectNode().put("i", i).put("text", "a\nb \u00e9");
    }

    @Test
    void journal_keepsWholeRecords_whereverItIsCutOrChanged() throws IOException {
        Path folder = dir.resolve("x.partial");
        List<Long> ends = new ArrayList<>();
        try (PartialFolder partial = PartialFolder.open(folder, NAMES)) {
            for (int i = 0; i < 4; i++) {
                partial.append(number(i));
                ends.add(Files.size(folder.resolve("journal")));
            }
        }
        byte[] whole = Files.readAllBytes(folder.resolve("journal"));
        for (int cut = 0; cut <= whole.length; cut++) {
            Files.write(folder.resolve("journal"), Arrays.copyOf(whole, cut));
            int expected = 0;
            for (long end : ends) {
                expected += end <= cut ? 1 : 0;
            }
            assertThat(PartialFolder.records(folder)).hasSize(expected);
        }
        for (int at = 0; at < whole.length; at++) {
            byte[] changed = whole.clone();
            changed[at] ^= 4;
            Files.write(folder.resolve("journal"), changed);
            int expected = 0;
            for (long end : ends) {
                expected += end <= at ? 1 : 0;
            }
            assertThat(PartialFolder.records(folder)).hasSize(expected);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"mine.txt", "data.txt", "database", ".data", "data.0123abcd.tmp.x", "data/", "mine/"})
    void folderOfSomebodyElse_isRefused_andUntouched(String name) throws IOException {
        Path folder = Files.createDirectory(dir.resolve("x.partial"));
        for (boolean journal : new boolean[] {false, true}) {
            if (journal) {
                Files.createFile(folder.resolve("journal"));
            }
            Path file = folder.resolve(name);
            if (name.endsWith("/")) {
                Files.createDirectories(file);
            } else {
                Files.writeString(file, "mine");
            }
            assertThatThrownBy(() -> PartialFolder.open(folder, NAMES))
                    .isInstanceOf(WanException.class)
                    .hasMessageContaining(name.replace("/", "") + ", which no run has left there");
            assertThat(file).exists();
        }
    }

    @Test
    void dataWithoutAJournal_isSomebodyElses() throws IOException {
        Path folder = Files.createDirectory(dir.resolve("x.partial"));
        Files.writeString(folder.resolve("data"), "mine");
        assertThatThrownBy(() -> PartialFolder.open(folder, NAMES)).hasMessageContaining("no run has left");
        assertThat(folder.resolve("data")).hasContent("mine");
        Files.createFile(folder.resolve("journal"));
        Files.writeString(folder.resolve("o.pt.0123abcd.tmp"), "of a run that was killed");
        try (PartialFolder partial = PartialFolder.open(folder, NAMES)) {
            partial.remove();
        }
        assertThat(folder).doesNotExist();
    }

    @Test
    void append_goesOnBehindWhatIsWhole() throws IOException {
        Path folder = dir.resolve("x.partial");
        try (PartialFolder partial = PartialFolder.open(folder, NAMES)) {
            partial.append(number(0));
            partial.append(number(1));
        }
        Files.writeString(folder.resolve("journal"), "12345678 {\"cut\":\"short".repeat(20), StandardOpenOption.APPEND);
        try (PartialFolder partial = PartialFolder.open(folder, NAMES)) {
            assertThat(partial.records()).containsExactly(number(0), number(1));
            partial.append(number(2));
            partial.keepOnly(2);
            partial.append(number(3));
        }
        assertThat(PartialFolder.records(folder)).containsExactly(number(0), number(1), number(3));
    }

    @Test
    void open_isRefused_whileAnotherHasIt() {
        Path folder = dir.resolve("x.partial");
        try (PartialFolder first = PartialFolder.open(folder, NAMES)) {
            assertThatThrownBy(() -> PartialFolder.open(folder, NAMES))
                    .isExactlyInstanceOf(WanException.class)
                    .hasMessage(folder + ": is being written by another run; wait for it, or choose another name");
            first.append(number(0));
        }
        try (PartialFolder second = PartialFolder.open(folder, NAMES)) {
            second.remove();
        }
        assertThat(folder).doesNotExist();
    }

    @Test
    void open_refusesWhatIsNoFolder() throws IOException {
        Path file = Files.createFile(dir.resolve("x.partial"));
        assertThatThrownBy(() -> PartialFolder.open(file, NAMES))
                .isExactlyInstanceOf(WanException.class)
                .hasMessageContaining("expected a folder");
    }

    @Test
    void tensors_comeBackStageByStage() throws IOException {
        Path file = dir.resolve("tensors");
        List<ObjectNode> stages = new ArrayList<>();
        try (PartialTensors tensors = PartialTensors.create(file, ROOM)) {
            for (int i = 0; i < 3; i++) {
                tensors.writer().add("a" + i, DType.F32, Shape.of(2, 2)).write(new float[] {i, 1, 2, 3});
                tensors.writer().add("never written " + i, DType.F32, Shape.of(i));
                stages.add(tensors.stage());
            }
            tensors.writer().add("unfinished", DType.F32, Shape.of(100)).write(new float[100]);
        }
        assertThat(PartialTensors.check(file, ROOM, stages)).isEqualTo(3);
        try (PartialTensors tensors = PartialTensors.reopen(file, ROOM, stages.subList(0, 2))) {
            assertThat(tensors.names()).containsExactly("a0", "never written 0", "a1", "never written 1");
            assertThat(tensors.tensor("a1").values()).containsExactly(1, 1, 2, 3);
            tensors.writer().add("b", DType.F32, Shape.of(1)).write(new float[] {7});
            ObjectNode stage = tensors.stage();
            assertThat(PartialTensors.check(file, ROOM, List.of(stages.get(0), stages.get(1), stage)))
                    .isEqualTo(3);
            assertThat(PartialTensors.check(file, ROOM, stages)).isEqualTo(2);
            tensors.finish(Map.of("k", "v"));
        }
        try (Safetensors whole = Safetensors.open(file)) {
            assertThat(whole.names()).containsExactly("a0", "never written 0", "a1", "never written 1", "b");
            assertThat(whole.tensor("b").toFloats()).containsExactly(7);
        }
        // The header came later than the stages: they still count.
        assertThat(PartialTensors.check(file, ROOM, stages.subList(0, 2))).isEqualTo(2);
    }

    @Test
    void check_findsEveryChangedByte() throws IOException {
        Path file = dir.resolve("tensors");
        List<ObjectNode> stages = new ArrayList<>();
        Random random = new Random(3);
        try (PartialTensors tensors = PartialTensors.create(file, ROOM)) {
            for (int i = 0; i < 3; i++) {
                tensors.writer().add("a" + i, DType.F32, Shape.of(50)).write(1, new float[49]);
                stages.add(tensors.stage());
            }
        }
        byte[] whole = Files.readAllBytes(file);
        int start = whole.length - 3 * 200;
        for (int i = 0; i < 600; i++) {
            byte[] changed = whole.clone();
            changed[start + i] ^= (byte) (1 << random.nextInt(8));
            Files.write(file, changed);
            assertThat(PartialTensors.check(file, ROOM, stages)).isEqualTo(i / 200);
            Files.write(file, Arrays.copyOf(whole, start + i));
            assertThat(PartialTensors.check(file, ROOM, stages)).isEqualTo(i / 200);
        }
        Files.delete(file);
        assertThat(PartialTensors.check(file, ROOM, stages)).isZero();
    }
}
