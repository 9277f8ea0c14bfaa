package capture.analysis;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import wan.Goldens;
import wan.file.SafetensorsWriter;
import wan.file.TensorStore;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.HostTensor;
import wan.op.Quantity;
import wan.op.Shape;
import wan.op.UsageException;
import wan.op.WanException;

class SavedResultTest {
    @TempDir
    Path dir;

    @ParameterizedTest
    @ValueSource(strings = {"rollout-a", "rollout-b", "rollout-d", "rollout-h128"})
    void maps_equalTheScriptsMatrix_whereNothingWasEvicted(String name) {
        try (Goldens golden = Goldens.open(name);
                SavedResult result = SavedResult.open(ResultFiles.ofGolden(name, dir))) {
            int layer = result.info().layers().getFirst();
            FrameMaps maps = result.maps(Quantity.FRAME_LOGITS, layer, result.slot("first"));
            double[] expected = golden.file()
                    .tensor("script.layer" + layer + ".full_frame_attention")
                    .toDoubles();
            float[] actual = maps.values().clone();
            for (int i = 0; i < actual.length; i++) {
                actual[i] = Float.isNaN(actual[i]) ? 0 : actual[i];
            }
            Goldens.assertClose(name, actual, expected, Goldens.FRAME_LOGITS);
        }
    }

    @Test
    void maps_standAtAbsoluteFramesAndAreMasked_whenFramesWereEvicted() {
        try (Goldens golden = Goldens.open("rollout-c");
                SavedResult result = SavedResult.open(ResultFiles.ofGolden("rollout-c", dir))) {
            FrameMaps maps = result.maps(Quantity.FRAME_LOGITS, 1, result.slot("first"));
            double[] expected =
                    golden.file().tensor("absolute.layer1.full_frame_attention").toDoubles();
            double[] mask = golden.file().tensor("absolute.window_mask").toDoubles();
            for (int i = 0; i < expected.length; i++) {
                boolean attended = mask[i % mask.length] != 0;
                assertThat(Float.isNaN(maps.values()[i])).isEqualTo(!attended);
                if (attended) {
                    assertThat((double) maps.values()[i]).isCloseTo(expected[i], within(Goldens.FRAME_LOGITS));
                }
            }
        }
    }

    @Test
    void row_equalsTheScriptsLastFrameBlock() {
        try (Goldens golden = Goldens.open("rollout-a");
                SavedResult result = SavedResult.open(ResultFiles.ofGolden("rollout-a", dir))) {
            int layer = result.info().layers().getFirst();
            HostTensor expected = golden.get("script.layer" + layer + ".last_block_frame_attention");
            Analysis analysis =
                    Analysis.of(result, result.slot("first"), result.frameBlock("last"), MeasureOptions.DEFAULT);
            int frames = result.info().frames();
            for (int h = 0; h < result.info().heads().size(); h++) {
                double[] row = analysis.heads().get(h).logitRow();
                double first = expected.values()[h * frames];
                double middle = 0;
                for (int k = 0; k < frames; k++) {
                    assertThat(row[k]).isCloseTo(expected.values()[h * frames + k], within(Goldens.FRAME_LOGITS));
                    middle += k > 0 && k < frames - 1 ? expected.values()[h * frames + k] / (frames - 2) : 0;
                }
                assertThat(analysis.measure(Measure.SINK_SCORE)[h])
                        .isCloseTo(first - middle, within(2 * Goldens.FRAME_LOGITS));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"rollout-a", "rollout-c", "rollout-c2", "rollout-e"})
    void masses_ofSinkNeighboursAndFrameBlock_addUpToOne(String name) {
        try (SavedResult result = SavedResult.open(ResultFiles.ofGolden(name, dir))) {
            Analysis analysis =
                    Analysis.of(result, result.slot("last"), result.frameBlock("last"), MeasureOptions.DEFAULT);
            double[] sink = analysis.measure(Measure.SINK_MASS);
            double[] neighbour = analysis.measure(Measure.NEIGHBOUR_MASS);
            double[] current = analysis.measure(Measure.CURRENT_MASS);
            assertThat(sink).isNotEmpty();
            for (int h = 0; h < sink.length; h++) {
                assertThat(sink[h] + neighbour[h] + current[h]).isCloseTo(1, within(1e-5));
            }
        }
    }

    @Test
    void sample_isReadFromABatch() {
        Path file = ResultFiles.ofGolden("rollout-e", dir);
        try (Goldens golden = Goldens.open("rollout-e");
                SavedResult second = SavedResult.open(file, 1);
                SavedResult third = SavedResult.open(file, 2)) {
            CapturedPass pass = second.passes(Quantity.FRAME_LOGITS).getLast();
            int layer = second.info().layers().getFirst();
            float[] both =
                    golden.get(pass.id() + ".layer" + layer + ".frame_logits").values();
            float[] values = second.values(Quantity.FRAME_LOGITS, pass, layer);
            assertThat(values).hasSize(both.length / 2);
            for (int i = 0; i < values.length; i++) {
                assertThat(values[i]).isEqualTo(both[values.length + i]);
            }
            assertThatThrownBy(() -> third.values(Quantity.FRAME_LOGITS, pass, layer))
                    .isInstanceOf(UsageException.class)
                    .hasMessageContaining("expected 0 to 1");
        }
    }

    @Test
    void slots_leaveOutTheOnlyPassOfGivenFrames() {
        try (SavedResult result = SavedResult.open(ResultFiles.ofGolden("rollout-d", dir))) {
            assertThat(result.slots(Quantity.FRAME_LOGITS))
                    .extracting(PassSlot::label)
                    .containsExactly("step0", "step1", "step2", "step3", "ctx");
            assertThat(result.info().frameBlocks())
                    .extracting(FrameBlock::first)
                    .containsExactly(0, 1, 4);
            assertThat(result.slot("last").label()).isEqualTo("step3");
            assertThatThrownBy(() -> result.slot("7")).isInstanceOf(UsageException.class);
            assertThatThrownBy(() -> result.slot("x")).isInstanceOf(UsageException.class);
            assertThatThrownBy(() -> result.frameBlock("3")).isInstanceOf(UsageException.class);
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "num_frames|-1|num_frames",
                "num_frames|1e99|num_frames",
                "num_frames|{|not valid JSON",
                "layers|[0,0]|twice",
                "layers|[9]|layers",
                "heads|[]|heads",
                "settings|{}|latentHeight",
                "frame_seq_length|7|rows x columns",
                "passes|[]|passes",
                "passes|[{\"name\":\"nothing\",\"first_frame\":0,\"frames\":1,\"key_frames\":[0]}]|pass",
                "passes|[{\"name\":\"block0.ctx\",\"first_frame\":0,\"frames\":99,\"key_frames\":[0]}]|frames",
                "passes|[{\"name\":\"block0.ctx\",\"first_frame\":0,\"frames\":1,\"key_frames\":[7]}]|key_frames"
            })
    void open_tellsWhatIsWrong_whenMetadataAreBroken(String key, String value, String said) {
        Path good = ResultFiles.made(dir.resolve("good.safetensors"), 1, 2, 2, 1, 1, "x");
        Map<String, String> metadata;
        try (TensorStore store = TensorStore.open(good)) {
            metadata = new LinkedHashMap<>(store.metadata());
        }
        metadata.put(key, value);
        Path bad = written(metadata);
        assertThatThrownBy(() -> SavedResult.open(bad))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(said)
                .hasMessageContaining("bad.safetensors");
    }

    @Test
    void open_saysThatAModelIsNoResult() {
        assertThatThrownBy(() -> SavedResult.open(Goldens.path("model-tiny")))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("not a result of wan-attn extract?");
    }

    @Test
    void values_areRefused_whenTheTensorHasAnotherShape() {
        Path good = ResultFiles.made(dir.resolve("good.safetensors"), 1, 2, 2, 1, 1, "x");
        Map<String, String> metadata;
        try (TensorStore store = TensorStore.open(good)) {
            metadata = store.metadata();
        }
        try (SavedResult result = SavedResult.open(written(metadata))) {
            CapturedPass pass = result.info().passes().getFirst();
            assertThatThrownBy(() -> result.values(Quantity.FRAME_LOGITS, pass, 0))
                    .isInstanceOf(FormatException.class)
                    .hasMessageContaining("expected shape [1, 2, 1, 1]")
                    .hasMessageContaining("[1, 1]");
            assertThatThrownBy(() -> result.values(Quantity.FRAME_MASS, pass, 0))
                    .isInstanceOf(WanException.class)
                    .hasMessageContaining("capture.quantities frame-mass");
        }
    }

    private Path written(Map<String, String> metadata) {
        Path file = dir.resolve("bad.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 1 << 16)) {
            writer.add("block0.step0.layer0.frame_logits", DType.F32, Shape.of(1, 1))
                    .write(new float[1]);
            writer.finish(metadata);
        }
        return file;
    }

    @Test
    void lastFrameBlock_isTheLastThatWasCaptured_whenTheRunWasInterrupted() {
        Path whole = ResultFiles.made(dir.resolve("good.safetensors"), 1, 2, 3, 1, 1, "x");
        Map<String, String> metadata;
        try (TensorStore store = TensorStore.open(whole)) {
            metadata = store.metadata();
        }
        try (SavedResult result = SavedResult.open(whole);
                SavedResult interrupted = SavedResult.open(written(metadata))) {
            assertThat(result.frameBlock("last").index()).isEqualTo(2);
            assertThat(interrupted.frameBlock("last").index()).isZero();
        }
    }

    @Test
    void passSlot_readsWhatItPrints() {
        for (PassSlot slot : List.of(new PassSlot(0), new PassSlot(12), PassSlot.CONTEXT)) {
            assertThat(PassSlot.parse(slot.label())).isEqualTo(slot);
        }
    }
}
