package wan.jvm;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import wan.file.Safetensors;
import wan.op.Shape;
import wan.op.TensorView;

/** Tensors of {@code tests/goldens/ops.safetensors}. */
final class Golden {
    private static final Safetensors OPS = Safetensors.open(Path.of("tests/goldens/ops.safetensors"));

    private Golden() {}

    static TensorView view(String name) {
        return OPS.tensor(name);
    }

    static float[] values(String name) {
        return view(name).toFloats();
    }

    static Shape shape(String name) {
        return view(name).shape();
    }

    /** Holds the values to both runs of the reference, fp32 and float64. */
    static void check(float[] got, String name, double tolerance) {
        double[] fp32 = view(name).toDoubles();
        assertThat(got).hasSize(fp32.length);
        double[] fp64 = OPS.names().contains(name + "64") ? view(name + "64").toDoubles() : fp32;
        for (int i = 0; i < got.length; i++) {
            if (!(Math.abs(got[i] - fp32[i]) <= tolerance) || !(Math.abs(got[i] - fp64[i]) <= tolerance)) {
                throw new AssertionError("%s[%d]: got %s, expected %s (float64 %s) within %s"
                        .formatted(name, i, got[i], fp32[i], fp64[i], tolerance));
            }
        }
    }
}
