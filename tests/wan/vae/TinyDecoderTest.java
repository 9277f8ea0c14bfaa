package wan.vae;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import wan.file.TensorStore;
import wan.jvm.JvmFrameOps;
import wan.jvm.JvmOptions;
import wan.op.FrameOps;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/** The small decoder beside PyTorch, which computed {@code taehv.safetensors} in float64. */
class TinyDecoderTest {
    /** Of values from -3 to 3; float32 through 36 convolutions. */
    private static final double TOLERANCE = 2e-5;

    private final TensorStore file = TensorStore.open(Path.of("tests/goldens/taehv.safetensors"));

    @AfterEach
    void close() {
        file.close();
    }

    private HostTensor latent(int frame) {
        TensorView view = file.tensor("latent");
        Shape shape =
                Shape.of(view.shape().dim(1), view.shape().dim(2), view.shape().dim(3));
        return new HostTensor(
                shape, Arrays.copyOfRange(view.toFloats(), frame * shape.intSize(), (frame + 1) * shape.intSize()));
    }

    @ParameterizedTest
    @EnumSource(
            value = JvmOptions.Kind.class,
            names = {"SCALAR", "VECTOR"})
    void frames_areThoseOfPyTorch(JvmOptions.Kind kernels) {
        try (FrameOps ops = new JvmFrameOps(new JvmOptions(2, kernels))) {
            LatentDecoder decoder = LatentDecoder.of(ops, file);
            List<HostTensor> frames = new ArrayList<>();
            for (int i = 0; i < file.tensor("latent").shape().dim(0); i++) {
                decoder.decode(latent(i), frames::add);
                assertThat(frames).hasSize(VaeDecoder.frames(i + 1));
            }
            TensorView expected = file.tensor("video");
            assertThat(frames).hasSize(expected.shape().dim(0));
            float[] values = expected.toFloats();
            int at = 0;
            for (HostTensor frame : frames) {
                for (float value : frame.values()) {
                    assertThat((value + 1) / 2).as("value " + at).isCloseTo(values[at], within((float) TOLERANCE));
                    at++;
                }
            }
            assertThat(at).isEqualTo(values.length);
        }
    }

    @Test
    void aTensorThatNoLayerTakes_isNamed() {
        TensorStore store = new TensorStore() {
            @Override
            public Set<String> names() {
                return Stream.concat(file.names().stream(), Stream.of("decoder.23.weight"))
                        .collect(Collectors.toSet());
            }

            @Override
            public TensorView tensor(String name) {
                return file.tensor(name);
            }

            @Override
            public Map<String, String> metadata() {
                return Map.of();
            }

            @Override
            public Path path() {
                return file.path();
            }

            @Override
            public void close() {}
        };
        try (FrameOps ops = new JvmFrameOps(JvmOptions.defaults())) {
            assertThatThrownBy(() -> LatentDecoder.of(ops, store))
                    .isInstanceOf(WanException.class)
                    .hasMessageContaining("1 belong to no layer: decoder.23.weight");
        }
    }
}
