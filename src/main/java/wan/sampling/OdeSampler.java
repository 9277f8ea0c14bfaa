package wan.sampling;

import org.jspecify.annotations.Nullable;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.WanException;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.pass.PassId.Branch;
import wan.pass.PassRunner;

/**
 * Solves the flow's differential equation with guidance: all frames at once, as Wan does ({@code wan/text2video.py}, {@code
 * image2video.py}), or frame block by frame block with two caches ({@code pipeline/causal_diffusion_inference.py} of Causal Forcing).
 */
final class OdeSampler implements Sampler {
    private final RunPlan plan;
    private final Method.Ode method;
    private final SamplerInputs inputs;

    OdeSampler(RunPlan plan, SamplerInputs inputs) {
        this.plan = plan;
        this.method = (Method.Ode) plan.settings().method();
        this.inputs = inputs;
    }

    @Override
    public RunPlan plan() {
        return plan;
    }

    @Override
    public HostTensor run(PassRunner runner, @Nullable Checkpoint from, RunListener listener) {
        RunSettings settings = plan.settings();
        int channels = runner.model().config().outDim();
        HostTensor noise = noise(runner.batch(), channels).requireFinite("initial noise");
        HostTensor output = HostTensor.zeros(Shape.of(
                runner.batch(),
                method.perFrameBlock() ? settings.totalFrames() : settings.generatedFrames(),
                channels,
                settings.latentHeight(),
                settings.latentWidth()));
        int given = method.perFrameBlock() ? settings.numInitialFrames() : 0;
        if (given > 0) {
            output.setFrames(0, given(runner.batch(), channels, given));
        }
        OdeSchedule schedule = OdeSchedule.of(method.solver(), method.steps(), settings.shift());
        OdeSolver solver = new OdeSolver(method.solver(), schedule);
        HostTensor x = noise;
        @Nullable HostTensor cond = null;
        int done = from == null ? 0 : from.passes();
        for (int i = 0; i <= plan.passes().size(); i++) {
            if (from != null && i == done) {
                CacheRestore.run(plan, done, runner, listener, pass -> output.frames(pass.firstFrame(), pass.frames()));
            }
            if (i == plan.passes().size()) {
                break;
            }
            Pass pass = plan.passes().get(i);
            PassId id = pass.id();
            if (!id.denoises()) {
                if (i >= done) {
                    HostTensor clean = output.frames(pass.firstFrame(), pass.frames());
                    HostTensor flow = runner.run(pass, clean, listener.passStarted(pass));
                    listener.passDone(pass, clean, flow, null);
                }
                continue;
            }
            if (id.step() == 0 && id.branch() != Branch.UNCOND) {
                solver = new OdeSolver(method.solver(), schedule);
                x = noise.frames(pass.firstFrame() - given, pass.frames());
                keepPicture(x);
            }
            boolean endsStep = id.branch() == Branch.UNCOND || !method.guided();
            String step = label(id);
            if (from != null && i < done) {
                if (endsStep) {
                    x = next(pass, solver, from.tensor(kept(id), x.shape()), x, RunListener.NONE);
                    finish(pass, x, output);
                }
                continue;
            }
            HostTensor latents = withImage(x);
            HostTensor flow = runner.run(pass, latents, listener.passStarted(pass));
            listener.passDone(pass, latents, null, null);
            if (flow == null) {
                continue; // the run ends with this step, and only its captures are wanted
            }
            if (id.branch() != Branch.UNCOND) {
                listener.tensor(step + ".latent", x);
            }
            listener.tensor(step + ".v_" + (id.branch() == Branch.UNCOND ? "uncond" : "cond"), flow);
            if (!endsStep) {
                cond = flow;
                continue;
            }
            HostTensor v = cond == null || !method.guided() ? flow : guided(cond, flow, scale(pass));
            listener.tensor(step + ".v_guided", v);
            x = next(pass, solver, v, x, listener);
            finish(pass, x, output);
            listener.resumable(i + 1, kept(id), v);
        }
        return output;
    }

    /** Under what name a step's velocity is kept: the solver's steps are computed again. */
    private static String kept(PassId id) {
        return label(id) + ".v";
    }

    private HostTensor next(Pass pass, OdeSolver solver, HostTensor v, HostTensor x, RunListener listener) {
        String step = label(pass.id());
        HostTensor next = solver.step(pass.id().step(), v, x);
        HostTensor corrected = solver.corrected(x);
        if (corrected != null) {
            listener.tensor(step + ".corrected", corrected);
        }
        keepPicture(next);
        listener.tensor(step + ".latent_after", next);
        return next;
    }

    private void finish(Pass pass, HostTensor x, HostTensor output) {
        if (pass.id().step() == method.steps() - 1) {
            output.setFrames(pass.firstFrame(), x);
        }
    }

    private static String label(PassId id) {
        return new PassId(id.kind(), id.frameBlock(), id.step()).label();
    }

    private float scale(Pass pass) {
        return pass.expert() == 1 ? method.highNoiseGuideScale() : method.guideScale();
    }

    /** v_uncond + s (v_cond - v_uncond). */
    private static HostTensor guided(HostTensor cond, HostTensor uncond, float scale) {
        float[] out = new float[cond.values().length];
        for (int i = 0; i < out.length; i++) {
            out[i] = uncond.values()[i] + scale * (cond.values()[i] - uncond.values()[i]);
        }
        return new HostTensor(cond.shape(), out);
    }

    /** Wan draws [C, F, H, W]; frame block by frame block it is [B, F, C, H, W]. */
    private HostTensor noise(int batch, int channels) {
        RunSettings settings = plan.settings();
        int frames = settings.generatedFrames();
        int h = settings.latentHeight();
        int w = settings.latentWidth();
        Shape shape = Shape.of(batch, frames, channels, h, w);
        if (method.perFrameBlock()) {
            return new HostTensor(shape, inputs.noise().initial(shape)).requireFinite("initial noise");
        }
        HostTensor all = HostTensor.zeros(shape);
        int cells = h * w;
        for (int sample = 0; sample < batch; sample++) {
            float[] drawn = inputs.noise().initial(Shape.of(channels, frames, h, w));
            for (int i = 0; i < channels * frames; i++) {
                int to = (sample * frames + i % frames) * channels + i / frames;
                System.arraycopy(drawn, i * cells, all.values(), to * cells, cells);
            }
        }
        return all.requireFinite("initial noise");
    }

    /** The picture's latent stays the first frame, whatever the solver makes of it. */
    private void keepPicture(HostTensor x) {
        if (method.pictureFirst()) {
            x.setFrames(0, given(x.shape().dim(0), x.shape().dim(2), 1));
        }
    }

    private HostTensor given(int batch, int channels, int frames) {
        RunSettings settings = plan.settings();
        Shape expected = Shape.of(batch, frames, channels, settings.latentHeight(), settings.latentWidth());
        HostTensor latent = inputs.initialLatent();
        if (latent == null || !latent.shape().equals(expected)) {
            throw WanException.mismatch("initial latent", expected, latent == null ? "none" : latent.shape(), "");
        }
        return latent.requireFinite("initial latent");
    }

    /** The latents with the picture's mask and latent behind their channels. */
    private HostTensor withImage(HostTensor x) {
        HostTensor image = inputs.imageChannels();
        if (image == null) {
            return x;
        }
        int frames = x.shape().dim(0) * x.shape().dim(1);
        long[] dims = x.shape().dims();
        dims[2] += image.shape().dim(2);
        HostTensor both = HostTensor.zeros(Shape.of(dims));
        int mine = x.values().length / frames;
        int theirs = image.values().length / frames;
        for (int i = 0; i < frames; i++) {
            System.arraycopy(x.values(), i * mine, both.values(), i * (mine + theirs), mine);
            System.arraycopy(image.values(), i * theirs, both.values(), i * (mine + theirs) + mine, theirs);
        }
        return both;
    }
}
