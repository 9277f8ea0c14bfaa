package wan.app.command;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import capture.Indices;
import capture.PassChoice;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.file.SafetensorsWriter;
import wan.op.AttentionKind;
import wan.op.DType;
import wan.op.Quantity;
import wan.op.Shape;
import wan.op.UsageException;
import wan.op.WanException;
import wan.pass.Pass;
import wan.run.RunMonitor;
import wan.run.RunSpec;
import wan.run.Wan;
import wan.weights.ModelFolder;
import wan.weights.RandomModel;

class TensorCommandsTest {
    @TempDir
    Path dir;

    /** Runs a command; what it throws comes through. */
    private static String run(Callable<Integer> command, Object... args) {
        StringWriter out = new StringWriter();
        CommandLine line = new CommandLine(command).setOut(new PrintWriter(out));
        line.parseArgs(Arrays.stream(args).map(Object::toString).toArray(String[]::new));
        try {
            assertThat(command.call()).isZero();
        } catch (RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new AssertionError(e);
        }
        return out.toString();
    }

    private Path file() {
        Path file = dir.resolve("some.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 1024)) {
            writer.add("long.name", DType.F32, Shape.of(2, 3)).write(new float[] {1, 2, 3, 4, Float.NaN, 5});
            writer.add("b", DType.C64, Shape.of(1));
            writer.add("none", DType.F32, Shape.of(0));
            writer.finish(Map.of("prompt", "x".repeat(200)));
        }
        return file;
    }

    @Test
    void inspect_printsAnAlignedTable() {
        assertThat(run(new InspectCommand(), file()).lines())
                .containsExactly(
                        "name       dtype  shape   bytes",
                        "long.name  F32    [2, 3]     24",
                        "b          C64    [1]         8",
                        "none       F32    [0]         0",
                        "",
                        "3 tensors, 32 bytes",
                        "",
                        "metadata",
                        "  prompt: " + "x".repeat(100) + "... (200 characters)");
    }

    @Test
    void inspect_showsThePromptsOfABatch_onOneLine() {
        Path file = dir.resolve("batch.safetensors");
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 1000)) {
            writer.finish(Map.of("prompt", "a cat\na dog\u0007"));
        }
        assertThat(run(new InspectCommand(), file.toString())).contains("  prompt: a cat | a dog\ufffd\n");
    }

    @Test
    void inspect_readsTheValues_whenAskedForFigures() {
        assertThat(run(new InspectCommand(), file(), "--stats").lines())
                .startsWith(
                        "name       dtype  shape   bytes       min        max    mean     std  nan",
                        "long.name  F32    [2, 3]     24    1.0000     5.0000  3.0000  1.4142    1",
                        "b          C64    [1]         8         -          -       -       -    -",
                        "none       F32    [0]         0  Infinity  -Infinity     NaN     NaN    0");
    }

    @Test
    void inspect_printsJson() {
        JsonNode json =
                new JsonMapper().readTree(run(new InspectCommand(), file(), "--json", "--stats", "--name", "*n*"));
        assertThat(json.at("/metadata/prompt").stringValue()).hasSize(200);
        assertThat(json.path("tensors")).hasSize(2);
        assertThat(json.path("tensors").get(0))
                .isEqualTo(new JsonMapper()
                        .readTree("{\"name\":\"long.name\",\"dtype\":\"F32\",\"shape\":[2,3],\"bytes\":24,\"stats\":"
                                + "{\"min\":1.0,\"max\":5.0,\"mean\":3.0,\"std\":1.4142135623730951,\"nan\":1}}"));
        assertThat(json.at("/tensors/1/stats/mean").isNull()).isTrue();
    }

    @Test
    void inspect_saysHowFarARunGot_underNamesOfItsOwn() {
        Path result = dir.resolve("run.safetensors");
        RunMonitor stops = new RunMonitor() {
            private boolean late;

            @Override
            public void passStarted(Pass pass) {
                late = pass.id().frameBlock() == 1;
            }

            @Override
            public boolean cancelled() {
                return late;
            }
        };
        RunSpec spec = RunSpec.of(RunSpec.Model.DEMO)
                .withVideo(new RunSpec.Video(2, 2, 7, null))
                .withCapture(new RunSpec.Captures(
                        Indices.of(0),
                        Indices.of(0),
                        EnumSet.of(AttentionKind.SELF),
                        PassChoice.parse("all"),
                        EnumSet.of(Quantity.FRAME_LOGITS),
                        Set.of(),
                        false))
                .withOutput(new RunSpec.Output(result, null, false, true, null));
        try (Wan wan = Wan.demo()) {
            assertThat(wan.prepare(spec, stops).execute(stops).complete()).isFalse();
        }
        JsonNode json = JsonMapper.shared()
                .readTree(run(new InspectCommand(), dir.resolve("run.safetensors.partial"), "--json"));
        assertThat(json.propertyNames())
                .containsExactly(
                        "model",
                        "wan_attn_version",
                        "prompt",
                        "finished",
                        "passes",
                        "all_passes",
                        "capture_bytes",
                        "captures");
        assertThat(json.path("finished").asBoolean(true)).isFalse();
        assertThat(json.path("passes").asInt()).isEqualTo(5);
        assertThat(json.path("all_passes").asInt()).isEqualTo(15);
        assertThat(json.path("captures").size()).isEqualTo(json.path("passes").asInt());
        assertThat(json.path("captures").path(0).asString()).isEqualTo("block0.step0.layer0.frame_logits");
    }

    @Test
    void inspect_filtersByName() {
        Path tiny = Path.of("tests/goldens/model-tiny.safetensors");
        assertThat(run(new InspectCommand(), tiny, "--name", "blocks.?.modulation")
                        .lines())
                .filteredOn(line -> line.contains("modulation"))
                .hasSize(4);
        assertThat(run(new InspectCommand(), tiny)).contains("123 tensors, 2,082,944 bytes");
        assertThatThrownBy(() -> run(new InspectCommand(), tiny, "--name", "blocks.9.*"))
                .isExactlyInstanceOf(WanException.class)
                .hasMessage(tiny + ": none of its 123 tensors matches blocks.9.*");
    }

    @Test
    void tensorStats_agreesOverChunks() {
        Path file = dir.resolve("large.safetensors");
        float[] values = new float[(1 << 20) + 7];
        for (int i = 0; i < values.length; i++) {
            values[i] = i % 2 == 0 ? 999 : 1001;
        }
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 1024)) {
            writer.add("x", DType.F32, Shape.of(values.length)).write(values);
            writer.finish(Map.of());
        }
        assertThat(run(new InspectCommand(), file, "--stats")).contains("999.00  1001.0  1000.0  1.0000    0");
    }

    @Test
    void makeModel_writesAModelThatOpens() {
        Path out = dir.resolve("tiny");
        run(new MakeModelCommand(), "--out", out, "--seed", 3);
        try (ModelFolder model = ModelFolder.open(out)) {
            assertThat(model.config()).isEqualTo(RandomModel.tiny());
        }
        assertThat(run(new InspectCommand(), out)).contains("177 tensors", "BF16");
        Path copy = dir.resolve("copy");
        run(
                new MakeModelCommand(),
                "--out",
                copy,
                "--seed",
                3,
                "--config",
                out.resolve("config.json"),
                "--dtype",
                "F32");
        try (ModelFolder model = ModelFolder.open(copy)) {
            assertThat(model.config()).isEqualTo(RandomModel.tiny());
        }
    }

    @Test
    void makeModel_refusesAFolderInUse_unlessForced() throws Exception {
        Files.writeString(dir.resolve("notes.txt"), "mine");
        assertThatThrownBy(() -> run(new MakeModelCommand(), "--out", dir))
                .isExactlyInstanceOf(WanException.class)
                .hasMessage(dir + ": the folder is not empty; --force writes into it all the same");
        run(new MakeModelCommand(), "--out", dir, "--force");
        run(new MakeModelCommand(), "--out", dir, "--force", "--seed", 2);
        assertThat(dir.resolve("notes.txt")).hasContent("mine");
    }

    @Test
    void makeModel_refusesWhatItDoesNotKnow() {
        assertThatThrownBy(() -> run(new MakeModelCommand(), "--out", dir, "--dtype", "f8"))
                .isInstanceOf(UsageException.class)
                .hasMessage("--dtype: expected bf16, f16 or f32, got f8");
        assertThatThrownBy(() -> run(new MakeModelCommand(), "--out", dir, "--config", "14b"))
                .isInstanceOf(UsageException.class)
                .hasMessage("--config: expected tiny, 1.3b or a config.json, got 14b");
    }
}
