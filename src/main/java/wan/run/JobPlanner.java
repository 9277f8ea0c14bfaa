package wan.run;

import capture.CapturePlan;
import capture.RunGeometry;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.cache.Policies;
import wan.cache.PolicySchedule;
import wan.edit.Edits;
import wan.edit.HeadCaches;
import wan.model.WanConfig;
import wan.op.Grid;
import wan.op.HostTensor;
import wan.op.UsageException;
import wan.pass.Pass;
import wan.sampling.Method;
import wan.sampling.RunPlan;
import wan.sampling.RunSettings;
import wan.vae.VaeFiles;

/** Checks a specification against the sizes of its model, and plans the passes of the run. */
final class JobPlanner {
    private JobPlanner() {}

    /** Plans a run; warnings go to the monitor. */
    static Job plan(RunSpec asked, Session session, RunMonitor monitor) {
        LoadedModel model = session.model();
        WanConfig config = model.config();
        JobNotices.preset(asked, Preset.Sizes.of(config, model.highNoise() == null ? 1 : 2), monitor);
        RunSpec spec = withFirstPicture(asked, monitor);
        CapturePlan capture = new CapturePlan(
                spec.capture().layers().in("capture.layers", config.numLayers()),
                spec.capture().attention(),
                spec.capture().passes(),
                spec.capture().heads().in("capture.heads", config.numHeads()),
                spec.capture().quantities(),
                new CapturePlan.Recorded(spec.capture().sites(), config.numHeads(), config.headDim()));
        HostTensor initialLatent;
        Picture picture;
        int batch;
        int initialFrames;
        Path recording = spec.noise().replay();
        if (recording != null) {
            try (Replay replay = Replay.open(recording, spec.noise().replayRun())) {
                initialLatent = replay.initialLatent();
                initialFrames = replay.settings().numInitialFrames();
                batch = replay.promptEmbeds().shape().dim(0);
                picture = new Picture(
                        replay.inputs().imageChannels(),
                        replay.prompts().getFirst().image(),
                        null);
            }
        } else {
            Path given = spec.video().initialLatent();
            initialLatent = given == null ? null : Prompts.initialLatent(given);
            initialFrames = initialLatent == null ? 0 : initialLatent.shape().dim(1);
            batch = Prompts.count(spec.prompt());
            picture = Picture.read(spec.video().picture());
            initialLatent = picture.firstFrame() != null ? picture.firstFrame() : initialLatent;
        }
        RunSettings settings = spec.settings(model.latentHeight(), model.latentWidth(), initialFrames);
        JobNotices.oddities(settings, monitor);
        int gridRows = settings.latentHeight() / 2;
        int gridColumns = settings.latentWidth() / 2;
        spec.capture().queries().forEach(box -> box.check(settings.totalFrames(), gridRows, gridColumns));
        capture = capture.with(new CapturePlan.Regions(spec.capture().queries(), gridRows, gridColumns));
        RunPlan plan = RunPlan.of(settings, config.numLayers());
        if (model.highNoise() == null && plan.passes().stream().anyMatch(pass -> pass.expert() > 0)) {
            throw new UsageException(
                    "sampler.method.boundary: expected a folder with low_noise_model and high_noise_model,"
                            + " since such a sampler runs both, got " + model.name());
        }
        HeadCaches caches = headCaches(spec, settings, config);
        if (caches != null) {
            plan = new RunPlan(
                    settings, plan.timesteps(), List.of(caches.layout()), caches.place(plan.passes()), plan.events());
        }
        capture.passes().check(plan.timesteps().size());
        if (spec.output().passes()) {
            plan = plan.withAllFlows(config.numLayers());
        } else if (!spec.output().toTheEnd()) {
            List<Pass> captured =
                    capture.captured(plan.passes(), plan.timesteps().size());
            plan = plan.endingAt(captured.getLast().id(), capture.layersNeeded());
        }
        if (caches != null && caches.chooses()) {
            plan = withWholeChoice(plan, caches, config.numLayers());
        }
        RunGeometry geometry = new RunGeometry(
                batch,
                settings.totalFrames(),
                settings.frameSeqLen(),
                config.textLen(),
                plan.timesteps().size(),
                picture.features() == null ? 0 : picture.features().shape().dim(1));
        Job job = new Job(spec, session, plan, capture, geometry, initialLatent, picture, caches);
        try (Edits edits = job.openEdits()) {
            edits.check(plan.passes());
        }
        return job;
    }

    /** Keys are recomputed with frame 0 where nothing is there to encode a picture in its place. */
    private static RunSpec withFirstPicture(RunSpec spec, RunMonitor monitor) {
        boolean encodes = spec.sampler().method() instanceof Method.RecomputedKeys keys && !keys.keepFirstFrame();
        Path vae = spec.video().vae();
        if (!encodes || spec.noise().replay() != null) {
            return spec;
        }
        if (vae == null) {
            monitor.notice(
                    "frame 0 stays first among the recomputed keys, because no VAE was given to re-encode the oldest"
                            + " picture; set video.vae");
            return spec.encodingBy(null);
        }
        VaeFiles.open(vae).close();
        return spec;
    }

    /** The pass in which heads are sorted runs all layers where anything follows it. */
    private static RunPlan withWholeChoice(RunPlan plan, HeadCaches caches, int numLayers) {
        List<Pass> passes = new ArrayList<>(plan.passes());
        for (int i = 0; i < passes.size() - 1; i++) {
            if (caches.choosesIn(passes.get(i))) {
                passes.set(i, passes.get(i).onlyLayers(numLayers));
            }
        }
        return new RunPlan(plan.settings(), plan.timesteps(), plan.caches(), passes, plan.events());
    }

    private static @Nullable HeadCaches headCaches(RunSpec spec, RunSettings settings, WanConfig config) {
        RunSpec.Cache cache = spec.cache();
        if (cache.policy() == null) {
            return null;
        }
        if (!settings.method().equals(Method.SELF_FORCING)) {
            throw new UsageException("cache.policy: expected Self-Forcing's sampler, got " + settings.method());
        }
        Policies policy = Policies.of(cache.policy());
        PolicySchedule schedule = PolicySchedule.of(policy, settings.blockSizes());
        schedule.check(settings.frameSeqLen());
        Grid frame = new Grid(1, settings.latentHeight() / 2, settings.latentWidth() / 2);
        if (cache.heads() == null && policy.choosingBlock() >= 0) {
            return HeadCaches.choosing(
                            schedule,
                            config.numLayers(),
                            config.numHeads(),
                            spec.noise().seed())
                    .on(frame, config.headDim());
        }
        return new HeadCaches(
                        schedule,
                        RoleGroups.parse(policy.groups(), cache.heads(), config.numLayers(), config.numHeads()),
                        config.numLayers(),
                        config.numHeads())
                .on(frame, config.headDim());
    }
}
