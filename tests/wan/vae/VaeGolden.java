package wan.vae;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import wan.file.TensorStore;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.TensorView;

/** The VAE of {@code golden2}: a small one and what the reference computed with it. */
public final class VaeGolden implements AutoCloseable {
    /** The golden README's. */
    public static final double TOLERANCE = 3e-5;

    private static final String WEIGHTS = "weights/";

    private final TensorStore file = TensorStore.open(Path.of("tests/goldens/golden2/vae.safetensors"));
    private final TensorStore probes = TensorStore.open(Path.of("tests/goldens/golden2/vae_probes.safetensors"));

    /** [channels, frames, rows, columns]. */
    public HostTensor get(String name) {
        TensorView view = file.tensor(name);
        return new HostTensor(view.shape(), view.toFloats());
    }

    Set<String> probeNames() {
        return probes.names();
    }

    HostTensor probe(String name) {
        TensorView view = probes.tensor(name);
        return new HostTensor(view.shape(), view.toFloats());
    }

    /** One frame of [channels, frames, rows, columns]. */
    public static HostTensor frame(HostTensor video, int frame) {
        Shape shape = video.shape();
        int pixels = shape.dim(2) * shape.dim(3);
        float[] out = new float[shape.dim(0) * pixels];
        for (int channel = 0; channel < shape.dim(0); channel++) {
            System.arraycopy(video.values(), (channel * shape.dim(1) + frame) * pixels, out, channel * pixels, pixels);
        }
        return new HostTensor(Shape.of(shape.dim(0), shape.dim(2), shape.dim(3)), out);
    }

    static void assertClose(String what, HostTensor actual, HostTensor expected, double tolerance) {
        assertThat(actual.shape()).as(what).isEqualTo(expected.shape());
        for (int i = 0; i < actual.values().length; i++) {
            assertThat((double) actual.values()[i])
                    .as(what + " " + i)
                    .isCloseTo(expected.values()[i], within(tolerance));
        }
    }

    static double largest(HostTensor tensor) {
        double largest = 0;
        for (float value : tensor.values()) {
            largest = Math.max(largest, Math.abs(value));
        }
        return largest;
    }

    /** The weights alone, each under the name that the function gives for Wan's; those it gives the empty name are left out. */
    public TensorStore weights(UnaryOperator<String> rename) {
        Map<String, String> stored = file.names().stream()
                .filter(name -> name.startsWith(WEIGHTS))
                .filter(name -> !rename.apply(name.substring(WEIGHTS.length())).isEmpty())
                .collect(Collectors.toMap(name -> rename.apply(name.substring(WEIGHTS.length())), name -> name));
        return new TensorStore() {
            @Override
            public Set<String> names() {
                return stored.keySet();
            }

            @Override
            public TensorView tensor(String name) {
                TensorView view = file.tensor(stored.getOrDefault(name, name));
                return new TensorView(name, view.dtype(), view.shape(), view.data());
            }

            @Override
            public Map<String, String> metadata() {
                return Map.of();
            }

            @Override
            public Path path() {
                return Path.of("Wan2.1_VAE.pth");
            }

            @Override
            public void close() {}
        };
    }

    /** As {@code AutoencoderKLWan.state_dict()} has them, written out one by one rather than by our own rule. */
    public static String diffusersName(String name) {
        String[] parts = name.split("\\.");
        if (parts[0].equals("conv1") || parts[0].equals("conv2")) {
            return (parts[0].equals("conv1") ? "quant_conv." : "post_quant_conv.") + parts[1];
        }
        String last = parts[parts.length - 1];
        String layer = String.join(".", Arrays.copyOfRange(parts, 1, parts.length - 1));
        String renamed = switch (parts[1]) {
            case "conv1" -> "conv_in";
            case "head" -> parts[2].equals("0") ? "norm_out" : "conv_out";
            case "middle" ->
                switch (parts[2]) {
                    case "0" -> "mid_block.resnets.0" + residual(parts, 3);
                    case "1" -> "mid_block.attentions.0." + parts[3];
                    default -> "mid_block.resnets.1" + residual(parts, 3);
                };
            case "downsamples" -> "down_blocks." + parts[2] + residual(parts, 3);
            case "upsamples" -> {
                int index = Integer.parseInt(parts[2]);
                String block = "up_blocks." + index / 4;
                yield block + (index % 4 == 3 ? ".upsamplers.0" : ".resnets." + index % 4) + residual(parts, 3);
            }
            default -> throw new IllegalArgumentException(layer);
        };
        return parts[0] + "." + renamed + "." + last;
    }

    private static String residual(String[] parts, int from) {
        String inner = String.join(".", Arrays.copyOfRange(parts, from, parts.length - 1));
        return switch (inner) {
            case "residual.0" -> ".norm1";
            case "residual.2" -> ".conv1";
            case "residual.3" -> ".norm2";
            case "residual.6" -> ".conv2";
            case "shortcut" -> ".conv_shortcut";
            default -> "." + inner;
        };
    }

    @Override
    public void close() {
        file.close();
        probes.close();
    }
}
