package wan.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.Goldens;
import wan.file.Python;
import wan.file.TorchStore;
import wan.op.DType;
import wan.op.TensorView;

/** {@code --output} as .pt and .npz, against the file that the reference's script wrote and as PyTorch and NumPy read them. */
class OutputFormatTest {
    private static final Path LAYER3 = Path.of("tests/goldens/checkpoints/layer3.pt");

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    private CommandLineRun replay(String layer, String output, String... more) {
        Object[] words = {
            "extract",
            "--model",
            Goldens.path("model-tiny"),
            "--replay",
            Goldens.path("rollout-a"),
            "--layer",
            layer,
            "--output",
            folder.resolve(output),
            "-q"
        };
        Object[] all = new Object[words.length + more.length];
        System.arraycopy(words, 0, all, 0, words.length);
        System.arraycopy(more, 0, all, words.length, more.length);
        return CommandLineRun.of(all);
    }

    @Test
    void pt_isTheScriptsFile() {
        assertThat(replay("3", "x.pt").exitCode()).isZero();
        try (TorchStore expected = TorchStore.open(LAYER3);
                TorchStore actual = TorchStore.open(folder.resolve("x.pt"))) {
            Map<?, ?> want = (Map<?, ?>) expected.values();
            Map<?, ?> got = (Map<?, ?>) actual.values();
            assertThat(List.copyOf(got.keySet())).isEqualTo(List.copyOf(want.keySet()));
            assertThat(actual.names()).isEqualTo(expected.names());
            for (Object key : want.keySet()) {
                if (expected.names().contains(key.toString())) {
                    assertWithinOneUlp(actual.tensor(key.toString()), expected.tensor(key.toString()));
                } else if (!key.equals("prompt")) {
                    assertThat(got.get(key)).as("%s", key).isEqualTo(want.get(key));
                }
            }
        }
    }

    private static void assertWithinOneUlp(TensorView actual, TensorView expected) {
        assertThat(actual.dtype()).isEqualTo(DType.F16);
        assertThat(actual.shape()).isEqualTo(expected.shape());
        float[] a = actual.toFloats();
        float[] b = expected.toFloats();
        for (int i = 0; i < a.length; i++) {
            float ulp = Math.max(0x1p-24f, Math.ulp(Math.abs(b[i])) * 0x1p13f); // fp16 keeps 13 bits fewer
            assertThat(Math.abs(a[i] - b[i])).isLessThanOrEqualTo(ulp);
        }
    }

    @Test
    void pt_isOneFilePerLayer_forSeveralLayers() {
        assertThat(replay("0-2", "run.pt").exitCode()).isZero();
        for (int layer = 0; layer < 3; layer++) {
            try (TorchStore file = TorchStore.open(folder.resolve("run/layer" + layer + ".pt"))) {
                assertThat(((Map<?, ?>) file.values()).get("layer_index")).isEqualTo((long) layer);
            }
        }
    }

    @Test
    void pt_refuses_whatItCannotHold() {
        CommandLineRun run = replay("3", "x.pt", "--what", "frame-mass");
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains("expected frame-logits of self-attention");
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void pt_isReadByTorch_withWeightsOnly() throws IOException, InterruptedException {
        assertThat(replay("3", "x.pt").exitCode()).isZero();
        String script = """
                import sys, torch
                ours = torch.load(sys.argv[1], weights_only=True)
                reference = torch.load(sys.argv[2], weights_only=True)
                assert list(ours) == list(reference), list(ours)
                for key, value in reference.items():
                    assert type(ours[key]) is type(value), key
                    if torch.is_tensor(value):
                        assert ours[key].dtype == value.dtype and ours[key].shape == value.shape, key
                        assert (ours[key].float() - value.float()).abs().max() < 4e-3, key
                    elif key != 'prompt':
                        assert ours[key] == value, key
                print('same')
                """;
        assertThat(Python.run("torch", script, folder.resolve("x.pt"), LAYER3)).isEqualTo("same");
    }

    @Test
    void npz_holdsTheSameTensors() throws IOException, InterruptedException {
        assertThat(replay("1", "x.npz", "--what", "frame-logits,token-logits").exitCode())
                .isZero();
        try (var files = Files.list(folder)) {
            assertThat(files).containsExactly(folder.resolve("x.npz"));
        }
        String script = """
                import json, sys, numpy
                x = numpy.load(sys.argv[1])
                metadata = json.loads(bytes(x['metadata']).decode())
                logits = x['block2.step0.layer1.self_logits']
                frames = x['block2.step0.layer1.frame_logits']
                S = metadata['frame_seq_length']
                means = logits.reshape(1, 4, 3, S, 7, S).mean(axis=(3, 5))
                assert abs(means - frames).max() < 1e-5
                assert (numpy.isnan(x['layer1.full_frame_attention'][0]) == (x['layer1.mask'] == 0)).all()
                print(metadata['block_sizes'])
                """;
        assertThat(Python.run("numpy", script, folder.resolve("x.npz"))).isEqualTo("[1, 3, 3]");
    }
}
