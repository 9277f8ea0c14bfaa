package wan.app.option;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.op.UsageException;
import wan.run.Preset;
import wan.run.RunSpec;
import wan.sampling.Method;

/** The options that say how noise becomes video: a preset, a sampler, and what only that sampler has. */
public final class SamplerOptions {
    @Option(
            names = "--preset",
            paramLabel = "NAME",
            description =
                    "The settings that a public checkpoint was made for; wan-attn presets lists them. Options given"
                            + " beside it override it.")
    private @Nullable String preset;

    @Option(
            names = {"--sampler", "--sample_solver"},
            paramLabel = "NAME",
            description = "few-step (default), or all frames at once by unipc or dpm++.")
    private @Nullable String sampler;

    @Option(
            names = {"--sample-steps", "--sample_steps"},
            paramLabel = "N",
            description = "Steps of unipc and dpm++ (default: 50).")
    private @Nullable Integer sampleSteps;

    @Option(
            names = {"--guide-scale", "--sample_guide_scale"},
            paramLabel = "S",
            description =
                    "How far unipc and dpm++ are led away from the negative prompt; 1 for not at all (default: 5).")
    private @Nullable Float guideScale;

    @Option(
            names = "--first-block-steps",
            split = ",",
            paramLabel = "T",
            description = "Denoising steps of the first frame block (default: those of all).")
    private @Nullable List<Float> firstBlockSteps;

    @Option(
            names = "--prompt-at",
            paramLabel = "FRAME=TEXT",
            description = "Another prompt from the first frame block on that starts at this frame or behind it, with"
                    + " LongLive's window. May be repeated.")
    private Map<Integer, String> promptAt = new LinkedHashMap<>();

    @Option(
            names = "--global-sink",
            negatable = true,
            description = "Whether the sink's keys survive a prompt switch (default: on).")
    private @Nullable Boolean globalSink;

    @Option(
            names = "--slot-positions",
            negatable = true,
            description =
                    "Whether keys stand at their slots' time positions rather than at their absolute frames'; with"
                            + " LongLive's window (default: off).")
    private @Nullable Boolean slotPositions;

    /** The preset's run, or the base. */
    public RunSpec preset(RunSpec base) {
        return preset == null ? base : Preset.named(preset).over(base);
    }

    /** The options that change what is drawn or the order of passes, of those that were given. */
    public List<String> given() {
        List<String> names = new ArrayList<>();
        add(names, "--preset", preset);
        add(names, "--sampler", sampler);
        add(names, "--sample-steps", sampleSteps);
        add(names, "--first-block-steps", firstBlockSteps);
        add(names, "--prompt-at", promptAt.isEmpty() ? null : promptAt);
        return names;
    }

    private static void add(List<String> names, String name, @Nullable Object value) {
        if (value != null) {
            names.add(name);
        }
    }

    /**
     * The run that the options ask for.
     *
     * @param base what holds where no option is given
     */
    public RunSpec over(RunSpec base) {
        RunSpec.Sampler s = base.sampler();
        Method method = method(s.method());
        RunSpec.Prompt p = base.prompt();
        return base.withPrompt(new RunSpec.Prompt(
                        p.texts(),
                        p.negative(),
                        p.embeddings(),
                        p.tokenizer(),
                        p.textEncoder(),
                        p.keep(),
                        promptAt.isEmpty() ? p.later() : List.copyOf(promptAt.values())))
                .withSampler(new RunSpec.Sampler(
                        s.steps(),
                        s.shift(),
                        s.warp(),
                        s.contextNoise(),
                        s.numFramePerBlock(),
                        s.independentFirstFrame(),
                        method));
    }

    private Method method(Method base) {
        Method chosen = sampler == null ? base : chosen(sampler, base);
        return switch (chosen) {
            case Method.Ode ode -> {
                none("--first-block-steps", firstBlockSteps, "--sampler few-step");
                none("--prompt-at", promptAt.isEmpty() ? null : promptAt, "--sampler few-step");
                float scale = guideScale == null ? ode.guideScale() : guideScale;
                yield new Method.Ode(
                        ode.solver(),
                        sampleSteps == null ? ode.steps() : sampleSteps,
                        scale,
                        ode.boundary(),
                        guideScale == null ? ode.highNoiseGuideScale() : scale,
                        ode.pictureFirst(),
                        ode.perFrameBlock());
            }
            case Method.FewStep few -> {
                none("--sample-steps", sampleSteps, "--sampler unipc or dpm++");
                none("--guide-scale", guideScale, "--sampler unipc or dpm++");
                boolean longLive = !promptAt.isEmpty() || Boolean.TRUE.equals(slotPositions);
                yield new Method.FewStep(
                        firstBlockSteps == null ? few.firstBlockSteps() : firstBlockSteps,
                        longLive ? Method.CacheRule.LONGLIVE : few.rule(),
                        slotPositions == null ? few.slotPositions() : slotPositions,
                        promptAt.isEmpty() ? few.switchFrames() : List.copyOf(promptAt.keySet()),
                        globalSink == null ? few.globalSink() : globalSink);
            }
            default -> chosen;
        };
    }

    private static Method chosen(String name, Method base) {
        if (name.equals("few-step")) {
            return base instanceof Method.FewStep ? base : Method.SELF_FORCING;
        }
        for (Method.Solver solver : Method.Solver.values()) {
            if (solver.option().equals(name)) {
                return base instanceof Method.Ode ode
                        ? new Method.Ode(
                                solver,
                                ode.steps(),
                                ode.guideScale(),
                                ode.boundary(),
                                ode.highNoiseGuideScale(),
                                ode.pictureFirst(),
                                ode.perFrameBlock())
                        : new Method.Ode(solver, 50, 5);
            }
        }
        throw new UsageException("--sampler: expected few-step, unipc or dpm++, got \"" + name + "\"");
    }

    private static void none(String option, @Nullable Object value, String needs) {
        if (value != null) {
            throw new UsageException(option + ": expected " + needs + " with it");
        }
    }
}
