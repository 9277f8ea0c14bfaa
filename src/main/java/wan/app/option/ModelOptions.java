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
            description = "The model: a folder as Wan2.1 ships it (config.json and"
                    + " diffusion_pytorch_model.safetensors), a Diffusers folder, a Hugging Face cache folder, a"
                    + " single file, or a .safetensors.index.json (default: a small built-in demo model with random"
                    + " weights; with --checkpoint, --no-checkpoint or --config-path, the first of"
                    + " wan_models/Wan2.1-T2V-1.3B, weights/Wan2.1-T2V-1.3B, models/Wan2.1-T2V-1.3B and"
                    + " Wan2.1-T2V-1.3B).")
    private @Nullable Path model;

    @Reads
    @Option(
            names = {"--config-path", "--config_path"},
            paramLabel = "FILE",
            description = "A Self-Forcing configuration (.yaml): takes its denoising steps, shift, frame block size,"
                    + " window and context noise. Other options override it.")
    private @Nullable Path configPath;

    @Reads
    @Option(
            names = {"--checkpoint", "--checkpoint_path"},
            paramLabel = "PATH",
            description = "Self-Forcing weights (.pt or .safetensors), or a folder with one such file. They replace the"
                    + " model's own weights.")
    private @Nullable Path checkpoint;

    @Option(
            names = {"--no-checkpoint", "--no_checkpoint"},
            description = "Use the model's own weights; the same as omitting --checkpoint.")
    private boolean noCheckpoint;

    @Option(
            names = {"--use-ema", "--use_ema"},
            negatable = true,
            description = "Use generator_ema (or, with --no-use-ema, generator) of the checkpoint (default:"
                    + " generator_ema if present, else generator).")
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
            description = "A LoRA file (PEFT, Diffusers, ComfyUI or kohya) to merge into the weights. May be repeated.")
    private List<Path> lora = new ArrayList<>();

    @Option(
            names = "--lora-strength",
            paramLabel = "X",
            description = "Factor of the LoRA: one number, or one for each --lora (default: 1).")
    private List<Double> loraStrength = new ArrayList<>();

    @Option(
            names = "--lora-alpha",
            paramLabel = "ALPHA",
            description = "Alpha for LoRA files that do not contain it: one number, or one for each --lora. The scale"
                    + " is alpha / rank (default: the rank).")
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
            description = "Accept weights that are all zero where trained weights are not. Without it they are taken"
                    + " for an unfinished download.")
    private boolean allowZeroWeights;

    /** What {@code --use-ema}, {@code --no-use-ema} or neither asks for. */
    public static Branch branch(@Nullable Boolean useEma) {
        if (useEma == null) {
            return Branch.EMA_OR_GENERATOR;
        }
        return useEma ? Branch.EMA : Branch.GENERATOR;
    }
}
