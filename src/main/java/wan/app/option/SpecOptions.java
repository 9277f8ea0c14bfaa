package wan.app.option;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import wan.app.guard.Reads;
import wan.run.RunSpec;
import wan.run.SpecFile;

/** The options that say what is run, for every command that runs a model: all but what is captured, changed and written. */
public final class SpecOptions {
    @Mixin
    private ModelOptions model = new ModelOptions();

    @Mixin
    private PromptInput prompt = new PromptInput();

    @Mixin
    private RunOptions run = new RunOptions();

    @Mixin
    private SamplerOptions sampler = new SamplerOptions();

    @Mixin
    private NoiseOptions noise = new NoiseOptions();

    @Mixin
    private DeviceOptions device = new DeviceOptions();

    @Reads
    @Option(
            names = "--spec",
            paramLabel = "FILE",
            description = "Take all settings from this file: a .json of extract --print-spec, or a result of extract"
                    + " (.safetensors, .npz), which records its run. Other options override it.")
    private @Nullable Path file;

    @Option(names = "--threads", paramLabel = "N", description = "Number of compute threads (default: all cores).")
    private @Nullable Integer threads;

    /** The file of {@code --spec}, or null. */
    public @Nullable Path file() {
        return file;
    }

    /** What the file says; without one, a run of the demo model. Reads it: it may come through a pipe. */
    public RunSpec base() {
        return file == null ? RunSpec.of(RunSpec.Model.DEMO) : SpecFile.read(file);
    }

    /**
     * The run that the options ask for.
     *
     * @param base what holds where no option is given
     */
    public RunSpec over(RunSpec base) {
        RunSpec preset = model.configured(sampler.preset(base));
        RunSpec.Device computing = device.over(preset.device());
        return DefaultPrompt.over(sampler.over(run.over(prompt.over(preset))).withModel(model.over(preset.model())))
                .withNoise(noise.over(preset.noise()))
                .withDevice(threads == null ? computing : computing.onThreads(threads));
    }

    /** The options that change what is drawn or the order of passes, of those that were given. */
    public List<String> given() {
        List<String> given = new ArrayList<>(run.given());
        given.addAll(sampler.given());
        if (model.configPath() != null) {
            given.add("--config-path");
        }
        return given;
    }

    /** Whether an option says what a recorded run has of its own: a prompt, given frames, a seed, a generator. */
    public boolean saysWhatIsRecorded() {
        return prompt.given() || noise.given();
    }
}
