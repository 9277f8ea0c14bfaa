package wan.app.command;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.Goldens;
import wan.app.CommandLineRun;
import wan.file.Safetensors;
import wan.op.HostTensor;
import wan.op.TensorView;

/** Edits through the command line. */
class InterventionCommandTest {
    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    /** Dummy Forcing's groups from the context pass of frame block 1, as analyze tells them, give the same run as their table. */
    @Test
    void headGroups_comeStraightFromAResult() throws IOException {
        Path measured = folder.resolve("measured.safetensors");
        Path table = folder.resolve("roles.csv");
        Object[] size = {"--latent-size", "4x4", "--num-frames", "7", "--steps", "1000,500", "-q"};
        assertThat(with(size, "extract", "--layer", "all", "--pass", "all", "--what", "frame-mass", "-o", measured)
                        .exitCode())
                .isZero();
        assertThat(CommandLineRun.of(
                                "analyze",
                                measured,
                                "--roles",
                                "dummy-forcing",
                                "--pass",
                                "context",
                                "--frame-block",
                                "1",
                                "--roles-csv",
                                table)
                        .exitCode())
                .isZero();
        List<byte[]> latents = new ArrayList<>();
        for (Path groups : List.of(measured, table)) {
            Path out = folder.resolve(groups.getFileName() + ".latents.safetensors");
            CommandLineRun run = with(
                    size,
                    "extract",
                    "--cache-policy",
                    "dummy-forcing",
                    "--head-groups",
                    groups,
                    "--save-latents",
                    out,
                    "-o",
                    folder.resolve("x.safetensors"));
            assertThat(run.exitCode()).as(run.err()).isZero();
            try (Safetensors file = Safetensors.open(out)) {
                latents.add(file.tensor("output").data().toArray(java.lang.foreign.ValueLayout.JAVA_BYTE));
            }
        }
        assertThat(latents.get(0)).isEqualTo(latents.get(1));
        CommandLineRun none =
                with(size, "extract", "--cache-policy", "pyramid-forcing", "--head-groups", measured, "--dry-run");
        assertThat(none.exitCode()).isEqualTo(2);
        assertThat(none.err()).contains("frame-logits");
    }

    private static CommandLineRun with(Object[] more, Object... words) {
        List<Object> all = new ArrayList<>(List.of(words));
        all.addAll(List.of(more));
        return CommandLineRun.of(all.toArray());
    }

    static Stream<Arguments> cases() {
        List<Arguments> all = new ArrayList<>();
        for (String file : List.of("golden3/interventions", "golden3/interventions-window")) {
            try (Goldens golden = Goldens.open(file)) {
                golden.config().get("cases").propertyNames().forEach(name -> all.add(Arguments.of(file, name, "jvm")));
            }
        }
        all.add(Arguments.of("golden3/interventions", "combined", "tornado"));
        all.add(Arguments.of("golden3/interventions", "patch-kv-first-context", "tornado"));
        return all.stream();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void replayRun_reproducesTheReferencesCase(String file, String name, String device) {
        Path result = folder.resolve("result.safetensors");
        Path latents = folder.resolve("latents.safetensors");
        CommandLineRun run = CommandLineRun.of(
                "extract",
                "--model",
                Goldens.path("golden3/model-causal"),
                "--replay",
                Goldens.path(file),
                "--replay-run",
                name,
                "--device",
                device,
                "--layer",
                "all",
                "--pass",
                "all",
                "--what",
                "frame-logits,frame-mass,token-logits,logits-used",
                "--save-latents",
                latents,
                "--save-passes",
                "--output",
                result);
        assertThat(run.exitCode()).as(run.err()).isZero();
        try (Goldens golden = Goldens.open(file)) {
            long expected = golden.file().names().stream()
                    .filter(tensor -> tensor.startsWith(name + "/") && !tensor.endsWith("output64"))
                    .count();
            assertThat(compare(golden, name, latents) + compare(golden, name, result))
                    .isEqualTo((int) expected);
        }
        try (Safetensors written = Safetensors.open(result)) {
            JsonNode spec = JsonMapper.shared().readTree(written.metadata().get("spec"));
            assertThat(spec.get("edits").isEmpty()).isEqualTo(name.equals("baseline"));
        }
    }

    private static int compare(Goldens golden, String name, Path file) {
        int compared = 0;
        try (Safetensors actual = Safetensors.open(file)) {
            for (String tensor : actual.names()) {
                if (golden.has(name + "/" + tensor)) {
                    TensorView view = actual.tensor(tensor);
                    double tolerance = tensor.endsWith("frame_mass")
                            ? Goldens.FRAME_MASS
                            : tensor.endsWith("_used") ? 4e-5 : Goldens.ROLLOUT;
                    golden.assertMatches(name + "/" + tensor, new HostTensor(view.shape(), view.toFloats()), tolerance);
                    compared++;
                }
            }
        }
        return compared;
    }

    private float[] latents(String name, String... more) {
        Path latents = folder.resolve(name + ".latents.safetensors");
        List<Object> words = new ArrayList<>(List.of(
                "extract",
                "--num-frames",
                "4",
                "--latent-size",
                "4x4",
                "--steps",
                "1000,500",
                "--save-latents",
                latents,
                "--output",
                folder.resolve(name + ".safetensors"),
                "--quiet"));
        words.addAll(List.of(more));
        CommandLineRun run = CommandLineRun.of(words.toArray());
        assertThat(run.exitCode()).as(run.err()).isZero();
        try (Safetensors file = Safetensors.open(latents)) {
            return file.tensor("output").toFloats();
        }
    }

    /** The short forms and the file say the same. */
    @Test
    void edit_isTheSame_fromAFileOrInShort() throws IOException {
        Path plan = folder.resolve("edits.json");
        Files.writeString(plan, """
                {"rules": [{"do": "zero", "heads": "1:0-2,3:5"},
                 {"do": "temperature", "heads": "2:1", "value": 0.7},
                 {"do": "bias", "heads": "0:3", "frames": "0", "value": -2}]}
                """);
        float[] inShort =
                latents("short", "--ablate", "1:0-2,3:5", "--temperature", "2:1=0.7", "--bias-frame", "0:3:0=-2");
        assertThat(latents("file", "--edit", plan.toString())).isEqualTo(inShort);
        assertThat(latents("plain")).isNotEqualTo(inShort);
    }

    /** A run that patches itself into itself is itself; the recording is made by the same program. */
    @Test
    void patch_readsWhatARunRecorded() throws IOException {
        float[] source = latents("source", "--layer", "all", "--pass", "all", "--what", "k,v,z,resid", "--seed", "7");
        Path plan = folder.resolve("patch.json");
        Path recording = folder.resolve("source.safetensors");
        Files.writeString(
                plan,
                "[{\"do\": \"patch\", \"site\": \"resid\", \"layers\": \"all\", \"from\": \"" + recording + "\"}]");
        assertThat(latents("same", "--seed", "7", "--edit", plan.toString())).isEqualTo(source);
        Files.writeString(
                plan,
                "[{\"do\": \"patch\", \"site\": \"z\", \"heads\": \"2:1\", \"from\": \"" + recording
                        + "\", \"passes\": \"block1.ctx\"}]");
        float[] patched = latents("patched", "--seed", "8", "--edit", plan.toString());
        assertThat(patched).isNotEqualTo(source);
    }

    /** Every activation is written, with the heads that were asked for. */
    @Test
    void record_writesEverySite() {
        latents(
                "sites",
                "--head",
                "1,3",
                "--layer",
                "2",
                "--what",
                "q,k,v,q-raw,k-raw,z,attn-out,ffn-out,resid,cross-q,cross-z,cross-out");
        try (Safetensors file = Safetensors.open(folder.resolve("sites.safetensors"))) {
            for (String site : List.of("q", "k", "v", "q_raw", "k_raw", "z", "cross_q", "cross_z")) {
                assertThat(file.tensor("block1.step0.layer2." + site).shape().dim(2))
                        .as(site)
                        .isEqualTo(2);
            }
            for (String site : List.of("attn_out", "ffn_out", "resid", "cross_out")) {
                assertThat(file.tensor("block1.step0.layer2." + site).shape().rank())
                        .as(site)
                        .isEqualTo(3);
            }
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--ablate 9:0 | 2 | edit zero, layers: expected indices from 0 to 5, got 9",
                "--ablate 1:12 | 2 | edit zero, heads: expected indices from 0 to 11, got 12",
                "--ablate 1:2:3 | 2 | --ablate: expected LAYER:HEADS such as 3:5, 7:0-3 or 3:5,7:all",
                "--temperature 1:2 | 2 | --temperature: expected HEADS=TEMPERATURE such as 3:5=0.7",
                "--temperature 1:2=0 | 2 | edit temperature: expected a value above 0, got 0.0",
                "--bias-frame 1:2=3 | 2 | --bias-frame: expected LAYER:HEADS:FRAMES=BIAS such as 0:3:5=-2",
                "--bias-frame 1:2:all=-inf | 1 | attention edit: head 2 has every key blocked",
                "--edit missing.json | 2 | missing.json: cannot read the edits",
                "--replay-run x | 2 | --replay-run: expected --replay with it",
                "--what q,nothing | 2 | --what: expected some of frame-logits",
            })
    void edit_isRefused_inOneLine(String options, int code, String message) {
        List<Object> words = new ArrayList<>(
                List.of("extract", "--num-frames", "4", "--latent-size", "4x4", "-o", folder.resolve("x.safetensors")));
        words.addAll(List.of(options.split(" ")));
        CommandLineRun run = CommandLineRun.of(words.toArray());
        assertThat(run.err()).contains(message);
        assertThat(run.exitCode()).isEqualTo(code);
    }
}
