package wan.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import capture.Indices;
import capture.PassChoice;
import capture.QueryRegion;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import wan.edit.EditPlan;
import wan.edit.Effect;
import wan.edit.Heads;
import wan.edit.Rule;
import wan.noise.CudaGeometry;
import wan.noise.Rng;
import wan.op.AttentionKind;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.Quantity;
import wan.op.Site;
import wan.sampling.Method;
import wan.weights.Lora;
import wan.weights.ModelLayout.Branch;

class SpecJsonTest {
    private static final Method UNUSUAL_METHOD =
            new Method.FewStep(List.of(800f), Method.CacheRule.LONGLIVE, true, List.of(3, 6), false);

    /** No field has its default. */
    private static final RunSpec UNUSUAL = new RunSpec(
            new RunSpec.Model(
                    Path.of("models/wan"),
                    Path.of("sf.pt"),
                    Branch.GENERATOR,
                    List.of(new Lora(Path.of("a.pt"), 0.3, null), new Lora(Path.of("b.pt"), 1, 64.5)),
                    "self-forcing",
                    true),
            new RunSpec.Prompt(
                    List.of("a \"cat\"", "ein Vögelchen"), "blurry", null, Path.of("t"), Path.of("e"), false),
            new RunSpec.Video(8, 10, 9, Path.of("start.safetensors")),
            new RunSpec.Noise(Rng.TORCH_CPU, Long.MIN_VALUE, false, CudaGeometry.of("a100"), Path.of("replay.st"), "a"),
            new RunSpec.Sampler(List.of(900f, 0.1f), 3.3f, false, 0.25f, 2, false, UNUSUAL_METHOD),
            new RunSpec.Cache(6, 1),
            new RunSpec.Captures(
                    Indices.of(0, 3, 4, 5),
                    Indices.of(7),
                    EnumSet.allOf(AttentionKind.class),
                    PassChoice.parse("0,1"),
                    EnumSet.allOf(Quantity.class),
                    EnumSet.allOf(Site.class),
                    true,
                    List.of(QueryRegion.parse("3,1,2"), QueryRegion.parse("4,0-1,2-4"))),
            new EditPlan(List.of(
                    new Rule(Heads.parse("", "3:5,7:0-3"), new Effect.Temperature(0.7f)),
                    new Rule(Heads.parse("", "1"), new Effect.Noise(Site.RESID, 0.5f, 3)))),
            new RunSpec.Device("tornado:0:1", DType.BF16, DType.F16, "cublas,cudnn", "shared", 12L << 30, 3),
            new RunSpec.Output(
                    Path.of("r.safetensors"),
                    Path.of("l.safetensors"),
                    true,
                    true,
                    new RunSpec.Output.Decoded(Path.of("v.mp4"), Path.of("vae.pth"))));

    @Test
    void read_givesBackWhatWasWritten() {
        assertThat(SpecJson.read("spec", SpecJson.write(UNUSUAL))).isEqualTo(UNUSUAL);
        RunSpec usual = RunSpec.of(RunSpec.Model.DEMO);
        assertThat(SpecJson.read("spec", SpecJson.write(usual))).isEqualTo(usual);
        RunSpec policy = usual.withCache(new RunSpec.Cache(-1, 0, "dummy-forcing", "mid=3:5"));
        assertThat(SpecJson.read("spec", SpecJson.write(policy))).isEqualTo(policy);
        for (Method method : List.of(
                new Method.RollingWindow(24, 21),
                new Method.RecomputedKeys(3, false, 2, 4),
                new Method.Ode(Method.Solver.DPMPP, 40, 5, 0.9f, 4, true, true))) {
            RunSpec.Sampler s = usual.sampler();
            RunSpec other = usual.withSampler(new RunSpec.Sampler(
                    s.steps(),
                    s.shift(),
                    s.warp(),
                    s.contextNoise(),
                    s.numFramePerBlock(),
                    s.independentFirstFrame(),
                    method));
            assertThat(SpecJson.read("spec", SpecJson.write(other))).isEqualTo(other);
        }
    }

    @Test
    void write_givesTheNamesThatAreDocumented() {
        assertThat(SpecJson.write(RunSpec.of(RunSpec.Model.DEMO)).replaceAll("\\s+", ""))
                .isEqualTo("""
                        {"version":1,
                        "model":{"path":null,"checkpoint":null,"branch":"ema-or-generator","loras":[],"preset":null},
                        "prompt":{"texts":[],"negative":null,"embeddings":null,"tokenizer":null,"text_encoder":null,"keep":true,"later":[]},
                        "video":{"latent_height":null,"latent_width":null,"num_frames":21,"initial_latent":null,"picture":null,"vae":null},
                        "noise":{"generator":"torch-cuda","seed":42,"dtype":"bf16","cuda_device":"132x2048","replay":null,"replay_run":""},
                        "sampler":{"steps":[1000.0,750.0,500.0,250.0],"shift":5.0,"warp":true,"context_noise":0.0,
                        "num_frame_per_block":3,"independent_first_frame":true,
                        "method":{"type":"few-step","first_block_steps":[],"cache_rule":"self-forcing","slot_positions":false,
                        "switch_frames":[],"global_sink":true}},
                        "cache":{"local_attn_size":null,"sink_size":null,"policy":null,"heads":null},
                        "capture":{"layers":[0],"heads":"all","attention":["self"],"passes":"first","quantities":["frame-logits"],
                        "sites":[],"keep_non_finite":false,"queries":[]},"edits":[],
                        "device":{"name":"jvm","weights":"f32","cache":"f32","libraries":"auto","kernels":"auto","memory_bytes":0,"threads":null},
                        "output":{"result":null,"latents":null,"passes":false,"complete":false,"video":null,"vae":null}}
                        """.replaceAll("\\s+", ""));
    }

    @Test
    void read_takesTheDefault_whereAFieldIsMissing() {
        RunSpec spec = SpecJson.read("spec", "{\"version\": 1, \"noise\": {\"seed\": 7}}");
        RunSpec usual = RunSpec.of(RunSpec.Model.DEMO);
        RunSpec.Noise noise = usual.noise();
        assertThat(spec)
                .isEqualTo(usual.withNoise(new RunSpec.Noise(noise.generator(), 7, noise.bf16(), noise.cudaDevice())));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{} | version: expected 1, got none",
                "{\"version\": 2} | version: expected 1, got 2; it is of a newer wan-attn",
                "[] | expected an object, got []",
                "{\"version\": 1, \"sampler\": {\"steps\": [1000, -3]}} | sampler.steps[1]: expected a number from 0 to 1000, got -3.0",
                "{\"version\": 1, \"sampler\": {\"steps\": [1000, \"x\"]}} | sampler.steps[1]: expected a number, got \"x\"",
                "{\"version\": 1, \"sampler\": {\"steps\": 4}} | sampler.steps: expected a list, got 4",
                "{\"version\": 1, \"sampler\": 4} | sampler: expected an object, got 4",
                "{\"version\": 1, \"sampler\": {\"stops\": 4}} | sampler.stops: expected one of the fields steps, shift, warp, context_noise, num_frame_per_block, independent_first_frame, method, got another",
                "{\"version\": 1, \"video\": {\"num_frames\": 1.5}} | video.num_frames: expected a whole number, got 1.5",
                "{\"version\": 1, \"video\": {\"num_frames\": 0}} | video.num_frames: expected at least 1, got 0",
                "{\"version\": 1, \"video\": {\"latent_height\": 3}} | video.latent_height: expected an even number of rows above 0, got 3",
                "{\"version\": 1, \"noise\": {\"dtype\": \"f16\"}} | noise.dtype: expected one of bf16, f32, got \"f16\"",
                "{\"version\": 1, \"model\": {\"loras\": [{\"strength\": 2}]}} | model.loras[0].file: expected a path, got none",
                "{\"version\": 1, \"model\": {\"loras\": {}}} | model.loras: expected a list of objects, got {}",
                "{\"version\": 1, \"noise\": {\"seed\": 1e30}} | noise.seed: expected a whole number from -2^63 to 2^64-1, got 1.0E30",
                "{\"version\": 1, \"capture\": {\"layers\": [0, -1]}} | capture.layers[1]: expected an index from 0, got -1",
                "{\"version\": 1, \"capture\": {\"layers\": []}} | capture.layers: expected \"all\" or a list of indices, got []",
                "{\"version\": 1, \"capture\": {\"quantities\": []}} | capture.quantities: expected at least one ",
                "{\"version\": 1, \"capture\": {\"passes\": \"some\"}} | capture.passes: expected first, last, context, all or steps such as",
                "{\"version\": 1, \"model\": {\"checkpoint\": \"x\"}} | model.checkpoint: expected model.path with it",
                "{\"version\": 1, \"output\": {\"passes\": true}} | output.passes: expected output.latents with it",
                "{\"version\": 1, \"device\": {\"threads\": 0}} | device.threads: expected 1 or more, got 0",
                "{\"version\": 1, \"sampler\": {\"method\": {\"type\": \"ode\"}}} | sampler.method.steps: expected a whole number, got none",
                "{\"version\": 1, \"sampler\": {\"method\": {\"solver\": \"x\"}}} | sampler.method.solver: expected one of the fields type,",
                "{\"version\": 1, \"what\": 1} | what: expected one of the fields version, model, prompt,",
                "{\"version\": 1, \"version\": 1} | not valid JSON: Duplicate Object property \"version\"",
            })
    void read_namesThePlace_ofWhatIsWrong(String json, String message) {
        assertThatThrownBy(() -> SpecJson.read("spec", json))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith("spec: " + message);
    }

    /** Whatever is done to a specification, it is read or refused in one line. */
    @Test
    void read_endsInAFormatException_onAnyMutation() {
        SplittableRandom random = new SplittableRandom(1);
        String json = SpecJson.write(UNUSUAL);
        for (int i = 0; i < 5000; i++) {
            StringBuilder mutated = new StringBuilder(json);
            for (int n = random.nextInt(1, 4); n > 0; n--) {
                int at = random.nextInt(mutated.length());
                switch (random.nextInt(3)) {
                    case 0 -> mutated.setCharAt(at, (char) random.nextInt(32, 127));
                    case 1 -> mutated.deleteCharAt(at);
                    default -> mutated.insert(at, mutated.substring(at, Math.min(mutated.length(), at + 9)));
                }
            }
            try {
                assertThat(SpecJson.read("spec", mutated.toString())).isNotNull();
            } catch (FormatException e) {
                assertThat(e.getMessage()).startsWith("spec: ").doesNotContain("\n");
            }
        }
    }
}
