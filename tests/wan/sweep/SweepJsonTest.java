package wan.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import wan.op.FormatException;
import wan.op.UsageException;
import wan.run.RunSpec;
import wan.run.SpecJson;

class SweepJsonTest {
    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    private Path write(String name, String text) throws IOException {
        return Files.writeString(folder.resolve(name), text);
    }

    private Sweep sweep(String json) throws IOException {
        return SweepJson.read(write("sweep.json", json));
    }

    private static List<String> ids(Sweep sweep) {
        return sweep.runs().stream().map(SweepRun::id).toList();
    }

    @Test
    void runs_areAllCombinations_theLastAxisFastest() throws IOException {
        Sweep sweep = sweep("""
                {"base": {"video": {"num_frames": 5}},
                 "axes": [{"prompts": ["a cat", "a dog"]}, {"seeds": "3-5"}, {"edits": {"none": [], "cut": [{"do": "zero", "heads": "3:5"}]}}]}
                """);
        List<SweepRun> runs = sweep.runs();
        assertThat(runs).hasSize(12).hasSize(sweep.size());
        assertThat(runs.get(3).describe()).isEqualTo("prompt a cat, seed 4, edits cut");
        assertThat(runs.get(3).spec().prompt().texts()).containsExactly("a cat");
        assertThat(runs.get(3).spec().noise().seed()).isEqualTo(4);
        assertThat(runs.get(3).spec().edits().rules()).hasSize(1);
        assertThat(runs.get(3).spec().video().numFrames()).isEqualTo(5);
        assertThat(new HashSet<>(ids(sweep))).hasSize(12);
    }

    /** The ids are in files' names: they must be the same next year. */
    @Test
    void id_isThatOfTheSpecification_andStays() throws IOException {
        SweepRun alone = sweep("{\"base\": {\"noise\": {\"seed\": 7}}}").runs().getFirst();
        SweepRun one = sweep("{\"axes\": [{\"seeds\": [5, 7]}]}").runs().get(1);
        assertThat(one.id()).isEqualTo(alone.id()).matches("[0-9a-f]{16}");
        RunSpec elsewhere = alone.spec()
                .withDevice(alone.spec().device().onThreads(3))
                .withOutput(new RunSpec.Output(Path.of("x.safetensors"), null, false, false, null));
        assertThat(SweepRun.of(0, alone.point(), elsewhere).id()).isEqualTo(alone.id());
        assertThat(alone.id()).isEqualTo("19fff9e25dbebcdc");
    }

    @Test
    void presetsPoliciesAndFields_changeWhatTheySay() throws IOException {
        Sweep sweep = sweep("""
                {"axes": [{"presets": ["self-forcing", "wan2.1-t2v-1.3b"]},
                          {"field": "capture.layers", "values": [[0], [0, 3]]}]}
                """);
        List<SweepRun> runs = sweep.runs();
        assertThat(runs.get(1).spec().model().preset()).isEqualTo("self-forcing");
        assertThat(runs.get(1).spec().capture().layers().some()).containsExactly(0, 3);
        assertThat(runs.get(2).spec().sampler()).isNotEqualTo(runs.get(1).spec().sampler());
        assertThat(runs.get(3).point())
                .containsEntry("preset", "wan2.1-t2v-1.3b")
                .containsEntry("layers", "[0,3]");
        List<SweepRun> policies = sweep("{\"axes\": [{\"policies\": [\"none\", \"streaming-llm\"]}]}")
                .runs();
        assertThat(policies.get(0).spec().cache().policy()).isNull();
        assertThat(policies.get(1).spec().cache().policy()).isEqualTo("streaming-llm");
    }

    @Test
    void zip_goesThroughAxesTogether() throws IOException {
        List<SweepRun> runs = sweep("{\"axes\": [{\"zip\": [{\"prompts\": [\"a\", \"b\"]}, {\"seeds\": [1, 2]}]}]}")
                .runs();
        assertThat(runs).extracting(SweepRun::describe).containsExactly("prompt_seed a, 1", "prompt_seed b, 2");
        assertThat(runs.get(1).spec().noise().seed()).isEqualTo(2);
    }

    @Test
    void yaml_saysTheSame() throws IOException {
        Path yaml = write("sweep.yaml", """
                base: &base
                  video: {num_frames: 5}
                axes:
                  - prompts:
                      - a cat
                      - "no: a dog"
                  - seeds: 0-1
                """);
        Sweep json = sweep(
                "{\"base\": {\"video\": {\"num_frames\": 5}}, \"axes\": [{\"prompts\": [\"a cat\", \"no: a dog\"]}, {\"seeds\": [0, 1]}]}");
        assertThat(ids(SweepJson.read(yaml))).isEqualTo(ids(json));
        assertThatThrownBy(() -> SweepJson.read(write("twice.yml", "axes: []\naxes: []\n")))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("twice.yml: not valid YAML");
        assertThatThrownBy(() -> SweepJson.read(write("tag.yml", "base: !!javax.script.ScriptEngineManager []\n")))
                .isInstanceOf(FormatException.class);
    }

    @Test
    void filesThatItNames_arePartOfTheValue() throws IOException {
        Path prompts = write("prompts.txt", "a cat\n\na dog\n");
        Path edits = write("plan.json", "[{\"do\": \"zero\", \"heads\": \"1:0\"}]");
        Path base = write("base.json", SpecJson.write(RunSpec.of(RunSpec.Model.DEMO)));
        Sweep sweep = sweep("{\"base\": \"" + base + "\", \"axes\": [{\"prompts\": \"" + prompts
                + "\"}, {\"edits\": {\"cut\": \"" + edits + "\"}}]}");
        Files.delete(prompts);
        Files.delete(edits);
        Files.delete(base);
        assertThat(ids(sweep(SweepJson.write(sweep)))).isEqualTo(ids(sweep)).hasSize(2);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    {"axes": {}}                                             | sweep.json: axes: expected a list of axes, got {}
                    {"axis": []}                                             | sweep.json: axis: expected one of the fields version, base, axes, got another
                    {"axes": [{"seeds": [1]}, {"name": "x"}]}                | sweep.json: axes[1]: expected one of field, prompts, seeds, presets, edits, policies, points, zip, got none
                    {"axes": [{"seeds": [1], "prompts": ["a"]}]}             | sweep.json: axes[0]: expected one of field, prompts, seeds, presets, edits, policies, points, zip, got prompts and seeds
                    {"axes": [{"seeds": "5-1"}]}                             | sweep.json: axes[0].seeds: expected a list of whole numbers, or a range such as "0-4", got "5-1"
                    {"axes": [{"seeds": [1, "b"]}]}                          | sweep.json: axes[0].seeds[1]: expected a whole number, got "b"
                    {"axes": [{"prompts": ["a", 3]}]}                        | sweep.json: axes[0].prompts[1]: expected a text, got 3
                    {"axes": [{"seeds": [1]}, {"field": "noise.sed", "values": [1]}]}  | sweep.json: axes[1], value 0: noise.sed: expected one of the fields generator, seed,
                    {"axes": [{"field": "nose.seed", "values": [1]}]}        | sweep.json: axes[0], value 0: nose.seed: expected the path of a field, such as noise.seed; nose is not one of version, model,
                    {"axes": [{"field": "noise.seed", "values": [1, "x"]}]}  | sweep.json: axes[0], value 1: noise.seed: expected a whole number from -2^63 to 2^64-1, got "x"
                    {"axes": [{"presets": ["self-farcing"]}]}                | sweep.json: axes[0]: preset: expected one of
                    {"axes": [{"policies": ["lru"]}]}                        | sweep.json: axes[0]:
                    {"axes": [{"edits": {"a": [{"do": "zap"}]}}]}            | sweep.json: axes[0].edits.a
                    {"axes": [{"points": [{"set": {}, "presets": "x"}]}]}    | sweep.json: axes[0].points[0]: presets: expected one of the fields label, preset, policy, set, edits
                    {"axes": [{"seeds": [1]}, {"seeds": [2]}]}               | sweep.json: axes: expected different names, got seed twice
                    {"axes": [{"seeds": [1, 1]}]}                            | sweep.json: axes[0]: axis seed: expected different values, got 1 twice
                    {"base": {"noise": {"seed": "x"}}}                       | sweep.json: base: noise.seed: expected a whole number
                    {"base": 3}                                              | sweep.json: base: expected the specification of a run, or the name of a file with one, got 3
                    """)
    void read_namesTheJsonPath(String json, String message) {
        assertThatThrownBy(() -> sweep(json))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(message);
    }

    @Test
    void runs_refuseTheSameRunTwice() throws IOException {
        Sweep sweep = sweep(
                "{\"axes\": [{\"field\": \"noise.seed\", \"name\": \"a\", \"values\": [1, 2]}, {\"field\": \"noise.seed\", \"name\": \"b\", \"values\": [3]}]}");
        assertThatThrownBy(sweep::runs)
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("the same twice: a 1, b 3; and a 2, b 3");
    }

    @Test
    void tenThousandRuns_areExpandedInNoTime() throws IOException {
        Sweep sweep = sweep("{\"axes\": [{\"seeds\": \"0-99\"}, {\"field\": \"video.num_frames\", \"values\": "
                + java.util.stream.IntStream.range(1, 101).boxed().toList() + "}]}");
        Set<String> ids = new HashSet<>(ids(sweep));
        assertThat(ids).hasSize(10_000);
    }
}
