package wan.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.Goldens;
import wan.file.TensorStore;
import wan.file.TorchWriter;
import wan.jvm.JvmFrameOps;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.model.WanConfig;
import wan.model.WanModel;
import wan.op.FrameOps;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Shape;
import wan.op.TensorView;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.sampling.CausalSampler;
import wan.sampling.Checkpoint;
import wan.sampling.RunListener;
import wan.sampling.RunPlan;
import wan.sampling.SamplerInputs;
import wan.vae.VaeDecoder;
import wan.vae.VaeEncoder;
import wan.vae.VaeGolden;

/** Krea's run with the small VAE of the goldens, against the whole video decoded at once and a frame of it encoded. */
class EncodedPictureTest {
    private static final JvmOptions OPTIONS = new JvmOptions(2, JvmOptions.Kind.VECTOR);

    @TempDir
    private Path folder;

    @Test
    void pictureBeforeEachFrameBlock_isTheOldestOfTheLastFrames() {
        try (VaeGolden golden = new VaeGolden();
                TensorStore vae = golden.weights(UnaryOperator.identity())) {
            SequencedMap<String, TensorView> tensors = new LinkedHashMap<>();
            vae.names().stream().sorted().forEach(name -> tensors.put(name, vae.tensor(name)));
            Path file = folder.resolve("Wan2.1_VAE.pth");
            TorchWriter.write(file, tensors);

            Map<String, HostTensor> inputs = new LinkedHashMap<>();
            List<Checkpoint> stops = new ArrayList<>();
            HostTensor output = run(file, null, inputs, stops);
            List<Integer> starts = new ArrayList<>();
            for (int block = 1; inputs.containsKey("block" + block + ".recompute"); block++) {
                HostTensor context = Objects.requireNonNull(inputs.get("block" + block + ".recompute"));
                int start = 3 * block;
                if (start - 3 < contextFrames()) {
                    assertThat(context.frames(0, 1).values())
                            .isEqualTo(output.frames(0, 1).values());
                } else {
                    starts.add(start);
                    assertThat(context.frames(0, 1).values())
                            .as("before frame " + start)
                            .isEqualTo(encodedAnew(vae, output.frames(0, start)));
                }
            }
            assertThat(starts).hasSizeGreaterThan(1);

            // A run that goes on decodes what it needs again.
            for (Checkpoint stop : stops.subList(1, stops.size())) {
                HostTensor resumed = run(file, stop, new LinkedHashMap<>(), new ArrayList<>());
                assertThat(resumed.values()).isEqualTo(output.values());
            }
        }
    }

    private static int contextFrames() {
        try (Replay replay = Replay.open(Goldens.path("golden3/krea-reencode"))) {
            return ((wan.sampling.Method.RecomputedKeys) replay.settings().method()).contextFrames();
        }
    }

    private static HostTensor run(
            Path vae, @Nullable Checkpoint from, Map<String, HostTensor> inputs, List<Checkpoint> stops) {
        try (Goldens golden = Goldens.open("golden3/krea-reencode");
                Goldens parameters = Goldens.open("golden3/model-causal");
                Replay replay = Replay.open(Goldens.path("golden3/krea-reencode"));
                Ops ops = new JvmOps(OPTIONS);
                SamplerInputs given =
                        new SamplerInputs(replay, null, null, new EncodedPicture(vae, OPTIONS, contextFrames()))) {
            WanConfig sizes = Goldens.modelConfig(golden.config().get("model_config"));
            RunPlan plan = RunPlan.of(replay.settings(), sizes.numLayers()).withAllFlows(sizes.numLayers());
            CausalSampler sampler = new CausalSampler(plan, given);
            Map<String, HostTensor> kept = new LinkedHashMap<>();
            try (PassRunner runner =
                    sampler.open(List.of(new WanModel(sizes, parameters.weights(), ops)), replay.prompts())) {
                return sampler.run(runner, from, new RunListener() {
                    @Override
                    public PassObserver passStarted(Pass pass) {
                        return PassObserver.NONE;
                    }

                    @Override
                    public void passDone(
                            Pass pass, HostTensor latents, @Nullable HostTensor flow, @Nullable HostTensor x0) {
                        inputs.put(pass.id().label(), latents);
                    }

                    @Override
                    public void resumable(int passes, String name, HostTensor tensor) {
                        kept.put(name, tensor);
                        Map<String, HostTensor> until = new LinkedHashMap<>(kept);
                        stops.add(new Checkpoint(passes, until::get));
                    }
                });
            }
        }
    }

    /** The last 1 + 4 (K - 1) frames of the decoded video, of which the oldest is encoded. */
    private static float[] encodedAnew(TensorStore vae, HostTensor latents) {
        try (FrameOps ops = new JvmFrameOps(OPTIONS)) {
            Shape shape = latents.shape();
            Shape frame = Shape.of(shape.dim(2), shape.dim(3), shape.dim(4));
            VaeDecoder decoder = new VaeDecoder(ops, vae);
            List<HostTensor> video = new ArrayList<>();
            for (int i = 0; i < shape.dim(1); i++) {
                float[] values = Arrays.copyOfRange(latents.values(), i * frame.intSize(), (i + 1) * frame.intSize());
                decoder.decode(new HostTensor(frame, values), video::add);
            }
            assertThat(video).hasSize(1 + 4 * (shape.dim(1) - 1));
            HostTensor oldest = video.get(video.size() - (1 + 4 * (contextFrames() - 1)));
            float[] clamped = oldest.values().clone();
            for (int i = 0; i < clamped.length; i++) {
                clamped[i] = Math.max(-1, Math.min(1, clamped[i]));
            }
            List<HostTensor> encoded = new ArrayList<>();
            new VaeEncoder(ops, vae).encode(new HostTensor(oldest.shape(), clamped), encoded::add);
            assertThat(encoded).hasSize(1);
            return encoded.getFirst().values();
        }
    }
}
