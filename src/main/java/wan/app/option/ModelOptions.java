package wan.app.option;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.app.guard.Reads;
import wan.op.UsageException;
import wan.run.RunSpec;
import wan.weights.Lora;
import wan.weights.ModelLayout.Branch;

/** The options that say which model runs. */
public final class ModelOptions {
    @Reads
    @Option(
            names = {"--model", "-m"},
            paramLabel = "PATH",
            description =
                    "A model: a folder with config.json and diffusion_pytorch_model.safetensors, as Wan2.1 ships it, Diffusers'"
                            + " or Hugging Face's cache of one, a single file, or a .safetensors.index.json"
                            + " (default: a small built-in demo model with random weights; with --checkpoint,"
                            + " --no-checkpoint or --config-path the first of wan_models/Wan2.1-T2V-1.3B,"
                            + " weights/Wan2.1-T2V-1.3B, models/Wan2.1-T2V-1.3B and Wan2.1-T2V-1.3B).")
    private @Nullable Path model;

    @Reads
    @Option(
            names = {"--config-path", "--config_path"},
            paramLabel = "FILE",
            description =
                    "A configuration of Self-Forcing (.yaml): its denoising steps, shift, frame block, window and context"
                            + " noise. Options given beside it override it.")
    private @Nullable Path configPath;

    @Reads
    @Option(
            names = {"--checkpoint", "--checkpoint_path"},
            paramLabel = "PATH",
            description =
                    "Self-Forcing weights (.pt or .safetensors), or a folder with one such file, to take in place of the"
                            + " model's own.")
    private @Nullable Path checkpoint;

    @Option(
            names = {"--no-checkpoint", "--no_checkpoint"},
            description = "Run the model's own weights; the same as leaving --checkpoint away.")
    private boolean noCheckpoint;

    @Option(
            names = {"--use-ema", "--use_ema"},
            negatable = true,
            description =
                    "Take exactly generator_ema, or exactly generator, of the checkpoint (default: generator_ema, or"
                            + " generator if there is none).")
    private @Nullable Boolean useEma;

    /**
     * The model that the options ask for.
     *
     * @param base what holds where no option is given
     */
    public RunSpec.Model over(RunSpec.Model base) {
        if (noCheckpoint && checkpoint != null) {
            throw new UsageException("--no-checkpoint: expected it without --checkpoint, got both");
        }
        Path kept = noCheckpoint ? null : base.checkpoint();
        Path path = model != null ? model : base.path();
        return new RunSpec.Model(
                path == null && meansWan() ? UsualFolders.model(Path.of("")) : path,
                checkpoint != null ? checkpoint : kept,
                useEma != null ? branch(useEma) : base.branch(),
                lora.isEmpty() ? base.loras() : loras(),
                base.preset(),
                allowZeroWeights || base.allowZeroWeights());
    }

    /** Whether an option was given that only makes sense with weights of Wan: never a reason to run the demo model. */
    private boolean meansWan() {
        return checkpoint != null || noCheckpoint || useEma != null || configPath != null || !lora.isEmpty();
    }

    /** The run with what the file of {@code --config-path} says, if there is one. */
    public RunSpec configured(RunSpec base) {
        return configPath == null ? base : ScriptConfig.read(configPath).over(base);
    }

    /** The file of {@code --config-path}, or null. */
    public @Nullable Path configPath() {
        return configPath;
    }

    @Reads
    @Option(
            names = "--lora",
            paramLabel = "FILE",
            description =
                    "Low-rank adapters to merge into the weights: a file of PEFT, Diffusers, ComfyUI or kohya. May"
                            + " be repeated.")
    private List<Path> lora = new ArrayList<>();

    @Option(
            names = "--lora-strength",
            paramLabel = "X",
            description = "What the adapters are multiplied with: one number, or one for each --lora (default: 1).")
    private List<Double> loraStrength = new ArrayList<>();

    @Option(
            names = "--lora-alpha",
            paramLabel = "ALPHA",
            description =
                    "Alpha of LoRA files that do not say it, one or one for each --lora; the scale is alpha / rank"
                            + " (default: the rank).")
    private List<Double> loraAlpha = new ArrayList<>();

    private List<Lora> loras() {
        List<Lora> all = new ArrayList<>();
        for (int i = 0; i < lora.size(); i++) {
            Double strength = of("--lora-strength", loraStrength, i);
            all.add(new Lora(lora.get(i), strength == null ? 1 : strength, of("--lora-alpha", loraAlpha, i)));
        }
        return all;
    }

    private @Nullable Double of(String option, List<Double> given, int file) {
        if (given.size() > 1 && given.size() != lora.size()) {
            throw new UsageException(
                    option + ": expected one number, or one for each of " + lora.size() + " LoRA files, got " + given);
        }
        return given.isEmpty() ? null : given.get(given.size() == 1 ? 0 : file);
    }

    @Option(
            names = "--allow-zero-weights",
            description =
                    "The weights hold zeros on purpose, where trained ones have none: no warning of an unfinished download"
                            + " before the run.")
    private boolean allowZeroWeights;

    /** What {@code --use-ema}, {@code --no-use-ema} or neither asks for. */
    public static Branch branch(@Nullable Boolean useEma) {
        if (useEma == null) {
            return Branch.EMA_OR_GENERATOR;
        }
        return useEma ? Branch.EMA : Branch.GENERATOR;
    }
}
