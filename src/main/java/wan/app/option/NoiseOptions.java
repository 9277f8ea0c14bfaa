package wan.app.option;

import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.noise.CudaGeometry;
import wan.noise.Rng;
import wan.op.UsageException;
import wan.run.RunSpec;

/** The options that say where noise comes from. */
public final class NoiseOptions {
    @Option(
            names = "--seed",
            paramLabel = "N",
            converter = SeedConverter.class,
            description = "Seed of all noise, from -2^63 to 2^64-1 as in PyTorch (default: 42).")
    private @Nullable Long seed;

    @Option(
            names = "--rng",
            paramLabel = "NAME",
            description = "Random number generator: torch-cuda, torch-cpu or java (default: torch-cuda, as in the"
                    + " reference).")
    private @Nullable String rng;

    @Option(
            names = "--noise-dtype",
            paramLabel = "TYPE",
            description = "Type in which noise is drawn: bf16 or f32 (default: bf16, as in the reference).")
    private @Nullable String dtype;

    @Option(
            names = "--cuda-device",
            paramLabel = "NAME",
            description = "GPU whose order of elements --rng torch-cuda reproduces: a100, h100, h200, rtx-4090, ..., or"
                    + " SMs x threads such as 108x2048 (default: h100).")
    private @Nullable String cudaDevice;

    /** Whether a seed or generator was named. */
    public boolean given() {
        return seed != null || rng != null;
    }

    /**
     * The noise that the options ask for.
     *
     * @param base what holds where no option is given
     * @throws UsageException if a word is unknown
     */
    public RunSpec.Noise over(RunSpec.Noise base) {
        if (dtype != null && !dtype.equals("bf16") && !dtype.equals("f32")) {
            throw new UsageException("--noise-dtype: expected bf16 or f32, got \"" + dtype + "\"");
        }
        return new RunSpec.Noise(
                rng == null ? base.generator() : generator(rng),
                seed == null ? base.seed() : seed,
                dtype == null ? base.bf16() : dtype.equals("bf16"),
                cudaDevice == null ? base.cudaDevice() : CudaGeometry.of(cudaDevice),
                base.replay(),
                base.replayRun());
    }

    private static Rng generator(String name) {
        for (Rng choice : Rng.values()) {
            if (choice.toString().equals(name)) {
                return choice;
            }
        }
        throw new UsageException("--rng: expected torch-cuda, torch-cpu or java, got \"" + name + "\"");
    }
}
