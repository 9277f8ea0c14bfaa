package wan.run;

import capture.Capture;
import capture.CapturePlan;
import capture.Indices;
import capture.MemorySink;
import capture.PassChoice;
import capture.analysis.Difference;
import capture.analysis.HeadId;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import wan.edit.Edits;
import wan.model.WanModel;
import wan.noise.NoiseSource;
import wan.op.AttentionKind;
import wan.op.HostTensor;
import wan.op.NonFiniteException;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Quantity;
import wan.op.UsageException;
import wan.pass.Context;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.sampling.RunPlan;
import wan.sampling.Sampler;
import wan.sampling.SamplerInputs;

/**
 * Measures the effect of many edits of one run, each edit by itself.
 *
 * <p>The unedited run comes first. An edited run then starts at the first layer of the first pass that it changes, on the same KV caches, because
 * everything before is identical. Edits that depart last run first, so that they overwrite nothing that the others need; pages
 * that a window reuses are copied where necessary. An edit with another cache policy, or of a sampler that cannot start in
 * the middle, runs as a whole.
 */
public final class Ablation {
    private final Job base;
    private final List<HeadId> watched;
    private final boolean whole;
    private final List<Edited> edited = new ArrayList<>();

    /** An edit with its run. */
    private record Edited(
            Variant variant, Job job, @Nullable Departure departure) {}

    /**
     * Plans and checks all runs.
     *
     * @param run the unedited run
     * @param watched heads whose frame logits are compared
     * @param whole whether every run is computed from its start, with the same result
     * @throws UsageException if an edit cannot be run, or two have the same name
     */
    public Ablation(
            Wan wan, RunSpec run, List<Variant> variants, List<HeadId> watched, boolean whole, RunMonitor monitor) {
        RunSpec spec = run.withOutput(new RunSpec.Output(null, null, false, true, null));
        if (!watched.isEmpty()) {
            spec = spec.withCapture(new RunSpec.Captures(
                    Indices.of(
                            watched.stream().mapToInt(HeadId::layer).distinct().toArray()),
                    Indices.ALL,
                    EnumSet.of(AttentionKind.SELF),
                    PassChoice.parse("all"),
                    EnumSet.of(Quantity.FRAME_LOGITS),
                    Set.of(),
                    true));
        }
        this.base = wan.prepare(spec, monitor);
        this.watched = List.copyOf(watched);
        this.whole = whole;
        for (HeadId head : watched) {
            if (head.head() >= base.config().numHeads()) {
                throw new UsageException("watched head: expected a head below "
                        + base.config().numHeads() + ", got " + head.layer() + ":" + head.head());
            }
        }
        Set<String> names = new HashSet<>();
        for (Variant variant : variants) {
            if (!names.add(variant.name())) {
                throw new UsageException("edits: expected different names, got " + variant.name() + " twice");
            }
            Job job = wan.prepare(variant.of(spec), RunMonitor.NONE);
            edited.add(new Edited(variant, job, departure(variant, job)));
        }
    }

    private @Nullable Departure departure(Variant variant, Job job) {
        if (whole || variant.cache() != null || base.caches() != null) {
            return null;
        }
        try (NoiseSource noise = base.openNoise();
                Edits edits = job.openEdits(variant.edits(), null);
                SamplerInputs inputs = base.inputs(noise)) {
            boolean forks = Sampler.of(base.plan(), inputs).forks();
            return forks ? Departure.of(job.plan(), edits) : null;
        }
    }

    /** The edits, in the order in which they were given. */
    public List<Variant> variants() {
        return edited.stream().map(Edited::variant).toList();
    }

    /** The unedited run. */
    public Job base() {
        return base;
    }

    /** The share of a whole run's operations that an edit needs. */
    public double share(Variant variant) {
        for (Edited each : edited) {
            if (each.variant().equals(variant) && each.departure() != null) {
                return each.departure().share(base.plan(), base.cost());
            }
        }
        return 1;
    }

    /** Where an edit departs from the unedited run, in words. */
    public String departure(Variant variant) {
        for (Edited each : edited) {
            if (each.variant().equals(variant) && each.departure() != null) {
                return each.departure().text(base.plan());
            }
        }
        return "the start";
    }

    /** Bytes that are copied to the host so that edited runs can start in the middle. */
    public long copiedBytes() {
        RunPlan plan = base.plan();
        long row = (long) Float.BYTES
                * base.geometry().batch()
                * base.geometry().frameSeqLen()
                * base.config().dim();
        long bytes = 0;
        for (int p = 0; p < plan.passes().size(); p++) {
            Trunk.Points points = points(p);
            if (points != null) {
                bytes += 2 * row * (plan.numLayers() - points.first()) * pages(p).size()
                        + 2 * row * points.last() * pages(p + 1).size()
                        + row * points.layers().size() * plan.passes().get(p).frames();
            }
        }
        return bytes;
    }

    private List<Integer> pages(int pass) {
        List<Integer> pages = new ArrayList<>();
        for (int cache = 0; cache < base.plan().caches().size(); cache++) {
            pages.addAll(Departure.overwritten(base.plan().passes(), cache, pass));
        }
        return pages;
    }

    /** The layers at which edited runs leave in a pass; null if there is none. */
    private Trunk.@Nullable Points points(int pass) {
        List<Integer> layers = edited.stream()
                .flatMap(each -> each.departure() != null && each.departure().pass() == pass
                        ? Stream.of(each.departure().layer())
                        : Stream.empty())
                .distinct()
                .sorted()
                .toList();
        return layers.isEmpty() ? null : new Trunk.Points(layers);
    }

    /**
     * Runs the unedited run, then every edit that is not done yet.
     *
     * @param done names of edits to skip
     * @param each receives every outcome and its latents, [B, T, C, H, W], as soon as they are ready, in the order of computation
     * @throws java.util.concurrent.CancellationException if the monitor stopped it
     */
    public void execute(Set<String> done, RunMonitor monitor, BiConsumer<Outcome, HostTensor> each) {
        MemoryCheck.require(base, copiedBytes());
        WeightDiagnosis.warnOfZeros(base);
        List<Edited> order = edited.stream()
                .filter(e -> !done.contains(e.variant().name()))
                .sorted(Comparator.comparingInt(Ablation::pass)
                        .thenComparingInt(Ablation::layer)
                        .reversed())
                .toList();
        if (order.isEmpty()) {
            return;
        }
        monitor.started(base);
        try (Ops ops = monitor.instrument(Devices.open(base.spec().device(), base.speedCheck(), base::rehearse));
                NoiseSource noise = base.openNoise();
                SamplerInputs inputs = base.inputs(noise)) {
            List<WanModel> models = base.models(ops);
            List<Context> prompts = noise instanceof Replay replay ? replay.prompts() : base.prompts(monitor);
            Trunk trunk = new Trunk(base, this::points, monitor);
            MemorySink unedited = new MemorySink();
            HostTensor reference;
            Sampler sampler = Sampler.of(base.plan(), inputs);
            try (PassRunner runner = sampler.open(models, prompts)) {
                try (Edits edits = base.openEdits()) {
                    reference = trunk.run(sampler, runner, edits, capture(base, unedited));
                }
                monitor.ended();
                for (Edited next : order) {
                    Departure departure = next.departure();
                    if (departure != null) {
                        outcome(
                                next,
                                reference,
                                unedited,
                                monitor,
                                each,
                                (s, observer) -> trunk.branch(s, runner, departure, reference, observer));
                    }
                }
            }
            for (Edited next : order) {
                if (next.departure() == null) {
                    outcome(next, reference, unedited, monitor, each, (s, observer) -> {
                        try (PassRunner runner = s.open(models, prompts)) {
                            return s.run(runner, observer::apply);
                        }
                    });
                }
            }
        } finally {
            monitor.ended();
        }
    }

    private static int pass(Edited edited) {
        return edited.departure() == null ? -1 : edited.departure().pass();
    }

    private static int layer(Edited edited) {
        return edited.departure() == null ? -1 : edited.departure().layer();
    }

    private @Nullable Capture capture(Job job, MemorySink sink) {
        return watched.isEmpty() ? null : new Capture(job.capture(), job.geometry(), sink, true);
    }

    /** Runs a sampler, watched. */
    private interface Course {
        HostTensor run(Sampler sampler, Function<Pass, PassObserver> observer);
    }

    private void outcome(
            Edited edited,
            HostTensor reference,
            MemorySink unedited,
            RunMonitor monitor,
            BiConsumer<Outcome, HostTensor> each,
            Course course) {
        Job job = edited.job();
        Departure departure = edited.departure();
        long start = System.nanoTime();
        MemorySink sink = new MemorySink();
        String failure = "";
        HostTensor latents = reference;
        try (Edits edits = job.openEdits();
                NoiseSource noise = job.openNoise();
                SamplerInputs inputs = job.inputs(noise)) {
            Capture capture = capture(job, sink);
            latents = course.run(Sampler.of(job.plan(), inputs), pass -> {
                monitor.checkCancelled();
                return Trunk.cancellable(
                        Edits.watched(edits.observe(pass), capture == null ? PassObserver.NONE : capture.observe(pass)),
                        monitor,
                        false);
            });
        } catch (NonFiniteException e) {
            failure = String.valueOf(e.getMessage());
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        List<Difference> frames = new ArrayList<>();
        int total = reference.shape().dim(1);
        for (int frame = 0; frame < total; frame++) {
            frames.add(Difference.of(
                    reference.frames(frame, 1).values(),
                    latents.frames(frame, 1).values()));
        }
        int given = base.plan().settings().numInitialFrames();
        Outcome outcome = new Outcome(
                edited.variant(),
                departure == null ? "the start" : departure.text(base.plan()),
                departure == null ? 1 : departure.share(base.plan(), base.cost()),
                seconds,
                Difference.of(
                        reference.frames(given, total - given).values(),
                        latents.frames(given, total - given).values()),
                frames,
                watched(unedited, sink),
                failure);
        each.accept(outcome, latents);
    }

    /** Tensors that an edited run has not captured are the unedited run's. */
    private SequencedMap<HeadId, Difference> watched(MemorySink unedited, MemorySink changed) {
        Map<String, HostTensor> other = changed.tensors();
        SequencedMap<HeadId, Difference> differences = new LinkedHashMap<>();
        for (HeadId head : watched) {
            Difference.Sums sums = new Difference.Sums();
            for (Pass pass : base.plan().passes()) {
                String name = CapturePlan.name(pass.id(), head.layer(), AttentionKind.SELF, Quantity.FRAME_LOGITS);
                HostTensor a = unedited.tensors().get(name);
                if (a != null) {
                    HostTensor b = other.getOrDefault(name, a);
                    int perSample = a.values().length / a.shape().dim(0);
                    int perHead = perSample / a.shape().dim(1);
                    if (!a.shape().equals(b.shape())) {
                        continue; // another cache holds other keys
                    }
                    for (int sample = 0; sample < a.shape().dim(0); sample++) {
                        sums.add(a.values(), b.values(), sample * perSample + head.head() * perHead, perHead);
                    }
                }
            }
            differences.put(head, sums.difference());
        }
        return differences;
    }
}
