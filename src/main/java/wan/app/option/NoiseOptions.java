package wan.app.option;

import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.noise.CudaGeometry;
import wan.noise.Rng;
import wan.op.UsageException;
import wan.run.RunSpec;

/** The options that say where noise comes from. */
public final class NoiseOptions {
    private static final long DEFAULT_SEED = 42;

    @Option(names = "--seed", paramLabel = "N", description = "Seed of all noise (default: 42).")
    private @Nullable Long seed;

    @Option(
            names = "--rng",
            paramLabel = "NAME",
            description =
                    "Whose numbers a seed gives: torch-cuda, torch-cpu or java (default: torch-cuda, which the reference"
                            + " runs on).")
    private @Nullable String rng;

    @Option(
            names = "--noise-dtype",
            paramLabel = "TYPE",
            defaultValue = "bf16",
            description = "The type noise is drawn in: bf16 or f32 (default: bf16, as in the reference).")
    private String dtype = "bf16";

    @Option(
            names = "--cuda-device",
            paramLabel = "NAME",
            defaultValue = "h100",
            description =
                    "The device whose order of elements torch-cuda gives: a100, h100, h200, rtx-4090, ..., or SMs x"
                            + " threads such as 108x2048 (default: h100).")
    private String cudaDevice = "h100";

    /** Whether a seed or generator was named. */
    public boolean given() {
        return seed != null || rng != null;
    }

    /**
     * The noise that the options ask for.
     *
     * @throws UsageException if a word is unknown
     */
    public RunSpec.Noise noise() {
        if (!dtype.equals("bf16") && !dtype.equals("f32")) {
            throw new UsageException("--noise-dtype: expected bf16 or f32, got \"" + dtype + "\"");
        }
        for (Rng choice : Rng.values()) {
            if (choice.toString().equals(rng == null ? Rng.TORCH_CUDA.toString() : rng)) {
                return new RunSpec.Noise(
                        choice,
                        seed == null ? DEFAULT_SEED : seed,
                        dtype.equals("bf16"),
                        CudaGeometry.of(cudaDevice));
            }
        }
        throw new UsageException("--rng: expected torch-cuda, torch-cpu or java, got \"" + rng + "\"");
    }
}
