package wan.app.option;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.app.guard.Reads;
import wan.file.Messages;
import wan.op.UsageException;
import wan.run.Preset;
import wan.run.RunSpec;
import wan.sampling.Method;

/** The options that say how noise becomes video: a preset, a sampler, and what only that sampler has. */
public final class SamplerOptions {
    private static final Pattern SCHEDULED = Pattern.compile("\\s*(\\d{1,9})\\s*=\\s*(.*\\S)\\s*");
    private static final int INTERPOLATION_STEPS = 4;

    @Option(
            names = "--preset",
            paramLabel = "NAME",
            description = "Settings of a public checkpoint; wan-attn presets lists them. Other options override it.")
    private @Nullable String preset;

    @Option(
            names = {"--sampler", "--sample_solver"},
            paramLabel = "NAME",
            description = "few-step (default), or unipc or dpm++, which generate all frames at once.")
    private @Nullable String sampler;

    @Option(
            names = {"--sample-steps", "--sample_steps"},
            paramLabel = "N",
            description = "Number of steps of unipc and dpm++ (default: 50).")
    private @Nullable Integer sampleSteps;

    @Option(
            names = {"--guide-scale", "--sample_guide_scale"},
            paramLabel = "S",
            description = "Guidance scale of unipc and dpm++; 1 turns guidance off (default: 5).")
    private @Nullable Float guideScale;

    @Option(
            names = "--first-block-steps",
            split = ",",
            paramLabel = "T",
            description = "Denoising steps of the first frame block (default: as --steps).")
    private @Nullable List<Float> firstBlockSteps;

    @Option(
            names = "--prompt-at",
            paramLabel = "FRAME=TEXT",
            description = "Switch to another prompt at the first frame block that starts at or after this latent frame,"
                    + " as LongLive does. Models that recompute keys fade it in. May be repeated.")
    private Map<Integer, String> promptAt = new LinkedHashMap<>();

    @Reads
    @Option(
            names = "--prompt-schedule",
            paramLabel = "FILE",
            description = "A UTF-8 text file with one FRAME=TEXT per line, as for --prompt-at.")
    private @Nullable Path promptSchedule;

    @Option(
            names = "--interpolation-steps",
            paramLabel = "N",
            description = "Number of frame blocks over which a new prompt is faded in, for models that recompute keys"
                    + " (default: 4).")
    private @Nullable Integer interpolationSteps;

    @Option(
            names = "--global-sink",
            negatable = true,
            description = "Whether the sink's keys are kept at a prompt switch (default: on).")
    private @Nullable Boolean globalSink;

    @Option(
            names = "--slot-positions",
            negatable = true,
            description = "Whether keys have the time positions of their cache slots instead of their absolute frames,"
                    + " with LongLive's window (default: off).")
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
        add(names, "--prompt-schedule", promptSchedule);
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
        SortedMap<Integer, String> later = laterPrompts();
        Method method = method(s.method(), List.copyOf(later.keySet()), s.numFramePerBlock());
        RunSpec.Prompt p = base.prompt();
        return base.withPrompt(new RunSpec.Prompt(
                        p.texts(),
                        p.negative(),
                        p.embeddings(),
                        p.tokenizer(),
                        p.textEncoder(),
                        p.keep(),
                        later.isEmpty() ? p.later() : List.copyOf(later.values())))
                .withSampler(new RunSpec.Sampler(
                        s.steps(),
                        s.shift(),
                        s.warp(),
                        s.contextNoise(),
                        s.numFramePerBlock(),
                        s.independentFirstFrame(),
                        method));
    }

    /** What {@code --prompt-at} and the schedule's file say, by frame. */
    private SortedMap<Integer, String> laterPrompts() {
        SortedMap<Integer, String> later = new TreeMap<>(promptAt);
        if (promptSchedule == null) {
            return later;
        }
        for (String line : PromptText.lines(promptSchedule)) {
            Matcher entry = SCHEDULED.matcher(line);
            if (!entry.matches() || later.put(Integer.valueOf(entry.group(1)), entry.group(2)) != null) {
                throw new UsageException("--prompt-schedule: expected lines FRAME=TEXT, each frame once, got \""
                        + Messages.shown(line) + "\" in " + promptSchedule);
            }
        }
        return later;
    }

    private Method method(Method base, List<Integer> switches, int numFramePerBlock) {
        Method chosen = sampler == null ? base : chosen(sampler, base);
        return switch (chosen) {
            case Method.Ode ode -> {
                none("--first-block-steps", firstBlockSteps, "--sampler few-step");
                none("--prompt-at", switches.isEmpty() ? null : switches, "--sampler few-step");
                none("--interpolation-steps", interpolationSteps, "--preset krea-realtime-14b");
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
                none("--interpolation-steps", interpolationSteps, "--preset krea-realtime-14b");
                boolean longLive = !switches.isEmpty() || Boolean.TRUE.equals(slotPositions);
                yield new Method.FewStep(
                        firstBlockSteps == null ? few.firstBlockSteps() : firstBlockSteps,
                        longLive ? Method.CacheRule.LONGLIVE : few.rule(),
                        slotPositions == null ? few.slotPositions() : slotPositions,
                        switches.isEmpty() ? few.switchFrames() : switches,
                        globalSink == null ? few.globalSink() : globalSink);
            }
            case Method.RecomputedKeys recomputed -> {
                if (switches.size() > 1) {
                    throw new UsageException(
                            "--prompt-at: expected one other prompt, which is faded in, got frames " + switches);
                }
                if (interpolationSteps != null && interpolationSteps < 1) {
                    throw new UsageException("--interpolation-steps: expected at least 1, got " + interpolationSteps);
                }
                if (switches.isEmpty()) {
                    yield recomputed;
                }
                yield new Method.RecomputedKeys(
                        recomputed.contextFrames(),
                        recomputed.keepFirstFrame(),
                        Math.ceilDiv(switches.getFirst(), numFramePerBlock),
                        interpolationSteps == null ? INTERPOLATION_STEPS : interpolationSteps);
            }
            case Method.RollingWindow rolling -> {
                none("--prompt-at", switches.isEmpty() ? null : switches, "--sampler few-step");
                none("--interpolation-steps", interpolationSteps, "--preset krea-realtime-14b");
                yield rolling;
            }
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
