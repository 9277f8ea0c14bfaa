package wan.vae;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import wan.file.TensorStore;
import wan.jvm.JvmFrameOps;
import wan.jvm.JvmOptions;
import wan.op.FrameOps;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.WanException;

class VaeTest {
    private static final int THREADS = 2;

    private final VaeGolden golden = new VaeGolden();

    @AfterEach
    void close() {
        golden.close();
    }

    private static FrameOps ops(JvmOptions.Kind kernels) {
        return new JvmFrameOps(new JvmOptions(THREADS, kernels));
    }

    private List<HostTensor> decode(FrameOps ops, UnaryOperator<String> names) {
        return decode(new VaeDecoder(ops, golden.weights(names)), golden.get("decode/latent"));
    }

    private static List<HostTensor> decode(VaeDecoder decoder, HostTensor latent) {
        List<HostTensor> frames = new ArrayList<>();
        for (int i = 0; i < latent.shape().dim(1); i++) {
            decoder.decode(VaeGolden.frame(latent, i), frames::add);
            assertThat(frames).hasSize(VaeDecoder.frames(i + 1));
        }
        return frames;
    }

    private List<HostTensor> encode(FrameOps ops, UnaryOperator<String> names) {
        return encode(new VaeEncoder(ops, golden.weights(names)), golden.get("encode/video"));
    }

    private static List<HostTensor> encode(VaeEncoder encoder, HostTensor video) {
        List<HostTensor> latents = new ArrayList<>();
        for (int i = 0; i < video.shape().dim(1); i++) {
            encoder.encode(VaeGolden.frame(video, i), latents::add);
            assertThat(latents).hasSize(VaeEncoder.latentFrames(i + 1));
        }
        return latents;
    }

    private void assertFrames(List<HostTensor> frames, String name) {
        HostTensor expected = golden.get(name);
        assertThat(frames).hasSize(expected.shape().dim(1));
        for (int i = 0; i < frames.size(); i++) {
            VaeGolden.assertClose(
                    name + " frame " + i, frames.get(i), VaeGolden.frame(expected, i), VaeGolden.TOLERANCE);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"VECTOR", "SCALAR"})
    void decode_matchesTheReference(JvmOptions.Kind kernels) {
        try (FrameOps ops = ops(kernels)) {
            assertFrames(decode(ops, UnaryOperator.identity()), "decode/video_raw");
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"VECTOR", "SCALAR"})
    void encode_matchesTheReference(JvmOptions.Kind kernels) {
        try (FrameOps ops = ops(kernels)) {
            assertFrames(encode(ops, UnaryOperator.identity()), "encode/latent");
        }
    }

    @Test
    void layers_matchTheReference_chunkByChunk() {
        Map<String, List<HostTensor>> seen = new HashMap<>();
        try (FrameOps ops = ops(JvmOptions.Kind.VECTOR)) {
            int[] chunk = {0};
            Chain.Probe record =
                    (layer, frame) -> seen.computeIfAbsent(layer + "/chunk" + chunk[0], _ -> new ArrayList<>())
                            .add(new HostTensor(frame.shape(), ops.read(frame)));
            HostTensor latent = golden.get("decode/latent");
            VaeDecoder decoder =
                    new VaeDecoder(ops, golden.weights(UnaryOperator.identity()), record, ops.pixelsAtOnce());
            for (int i = 0; i < latent.shape().dim(1); i++) {
                chunk[0] = i;
                decoder.decode(VaeGolden.frame(latent, i), _ -> {});
            }
            HostTensor video = golden.get("encode/video");
            VaeEncoder encoder =
                    new VaeEncoder(ops, golden.weights(UnaryOperator.identity()), record, ops.pixelsAtOnce());
            for (int i = 0; i < video.shape().dim(1); i++) {
                chunk[0] = (i + 3) / 4;
                encoder.encode(VaeGolden.frame(video, i), _ -> {});
            }
        }
        assertThat(golden.probeNames()).hasSize(28);
        for (String name : golden.probeNames()) {
            List<HostTensor> frames = seen.getOrDefault(name.replaceFirst("^(de|en)code/probe/", ""), List.of());
            HostTensor expected = golden.probe(name);
            assertThat(frames).as(name).hasSize(expected.shape().dim(1));
            double tolerance = 5e-6 * Math.max(1, VaeGolden.largest(expected));
            for (int i = 0; i < frames.size(); i++) {
                VaeGolden.assertClose(name, frames.get(i), VaeGolden.frame(expected, i), tolerance);
            }
        }
    }

    @Test
    void prefix_isTheSameBits_asThatOfTheWhole() {
        HostTensor latent = golden.get("decode/latent");
        try (FrameOps ops = ops(JvmOptions.Kind.VECTOR);
                FrameOps other = new JvmFrameOps(new JvmOptions(1, JvmOptions.Kind.VECTOR))) {
            List<HostTensor> whole = decode(ops, UnaryOperator.identity());
            VaeDecoder decoder = new VaeDecoder(other, golden.weights(UnaryOperator.identity()));
            List<HostTensor> prefix = new ArrayList<>();
            decoder.decode(VaeGolden.frame(latent, 0), prefix::add);
            decoder.decode(VaeGolden.frame(latent, 1), prefix::add);
            assertThat(prefix).hasSize(5);
            for (int i = 0; i < prefix.size(); i++) {
                assertThat(prefix.get(i).values()).isEqualTo(whole.get(i).values());
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 150})
    void bands_areTheSameBits_asWholeFrames(int pixels) {
        TensorStore weights = golden.weights(UnaryOperator.identity());
        HostTensor latents = random(Shape.of(16, 2, 7, 1));
        HostTensor video = random(Shape.of(3, 5, 56, 8));
        for (JvmOptions.Kind kernels : List.of(JvmOptions.Kind.VECTOR, JvmOptions.Kind.SCALAR)) {
            try (FrameOps ops = ops(kernels)) {
                assertSame(
                        decode(new VaeDecoder(ops, weights, null, Integer.MAX_VALUE), latents),
                        decode(new VaeDecoder(ops, weights, null, pixels), latents));
                assertSame(
                        encode(new VaeEncoder(ops, weights, null, Integer.MAX_VALUE), video),
                        encode(new VaeEncoder(ops, weights, null, pixels), video));
            }
        }
    }

    private static HostTensor random(Shape shape) {
        Random random = new Random(5);
        float[] values = new float[shape.intSize()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return new HostTensor(shape, values);
    }

    /** What layers remember is a whole frame each; what lies between them is not: a frame and that within each of three blocks. */
    @Test
    void bands_areAllThereIs_betweenLayers() {
        List<Integer> kept = new ArrayList<>();
        int rows = 24 * VaeDecoder.SPACE;
        try (FrameOps ops = ops(JvmOptions.Kind.VECTOR)) {
            FrameOps watched = (FrameOps) Proxy.newProxyInstance(
                    VaeTest.class.getClassLoader(), new Class<?>[] {FrameOps.class}, (_, method, args) -> {
                        if (method.getName().equals("allocateBand")
                                && ((Shape) args[0]).dim(0) > 3
                                && ((Shape) args[0]).dim(1) == rows) {
                            kept.add((Integer) args[1]);
                        }
                        return method.invoke(ops, args);
                    });
            TensorStore weights = golden.weights(UnaryOperator.identity());
            decode(new VaeDecoder(watched, weights, null, 1), random(Shape.of(16, 1, 24, 2)));
        }
        assertThat(kept).hasSize(4).allMatch(count -> count < rows / 3);
    }

    @Test
    void decodeAndEncode_giveTheSame_whenNamesAreDiffusers() {
        try (FrameOps ops = ops(JvmOptions.Kind.VECTOR)) {
            assertSame(decode(ops, UnaryOperator.identity()), decode(ops, VaeGolden::diffusersName));
            assertSame(encode(ops, UnaryOperator.identity()), encode(ops, VaeGolden::diffusersName));
        }
    }

    private static void assertSame(List<HostTensor> one, List<HostTensor> other) {
        assertThat(other).hasSameSizeAs(one);
        for (int i = 0; i < one.size(); i++) {
            assertThat(other.get(i).values()).isEqualTo(one.get(i).values());
        }
    }

    @Test
    void anotherFile_isRefused_withWhatWasExpected() {
        try (FrameOps ops = ops(JvmOptions.Kind.VECTOR)) {
            TensorStore other = golden.weights(name -> "x" + name);
            assertThatThrownBy(() -> new VaeDecoder(ops, other))
                    .isInstanceOf(WanException.class)
                    .hasMessageContaining("expected a VAE of Wan2.1")
                    .hasMessageContaining("Wan2.1_VAE.pth");
            TensorStore decoderOnly = golden.weights(name -> name.startsWith("encoder.") ? "" : name);
            assertThat(decode(ops, name -> name.startsWith("encoder.") ? "" : name))
                    .hasSize(13);
            assertThatThrownBy(() -> new VaeEncoder(ops, decoderOnly)).hasMessageContaining("a decoder only");
        }
    }

    @Test
    void wrongShapes_areRefused() {
        try (FrameOps ops = ops(JvmOptions.Kind.VECTOR)) {
            TensorStore weights = golden.weights(UnaryOperator.identity());
            assertThatThrownBy(() -> new VaeDecoder(ops, weights).decode(HostTensor.zeros(Shape.of(4, 3, 5)), _ -> {}))
                    .hasMessage("latents: expected [16, rows, columns], got [4, 3, 5]");
            assertThatThrownBy(
                            () -> new VaeEncoder(ops, weights).encode(HostTensor.zeros(Shape.of(3, 12, 16)), _ -> {}))
                    .hasMessageContaining("both multiples of 8");
            VaeDecoder begun = new VaeDecoder(ops, weights);
            begun.decode(HostTensor.zeros(Shape.of(16, 3, 5)), _ -> {});
            assertThatThrownBy(() -> begun.decode(HostTensor.zeros(Shape.of(16, 5, 3)), _ -> {}))
                    .hasMessage("latents: expected [16, 3, 5], got [16, 5, 3]; all frames of a video have one size");
        }
    }

    @Test
    void describe_namesTheScheme() {
        assertThat(VaeDecoder.describe(golden.weights(UnaryOperator.identity())))
                .contains("Wan2.1 video VAE, Wan2.1's names; encoder and decoder, width 8, 16 latent channels");
        assertThat(VaeDecoder.describe(golden.weights(VaeGolden::diffusersName)))
                .get()
                .asString()
                .contains("Diffusers' names");
        assertThat(VaeDecoder.describe(golden.weights(name -> "x" + name))).isEmpty();
    }
}
