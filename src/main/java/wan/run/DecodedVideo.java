package wan.run;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import wan.file.TensorStore;
import wan.jvm.JvmFrameOps;
import wan.jvm.JvmOptions;
import wan.op.FrameOps;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.UsageException;
import wan.pass.Pass;
import wan.sampling.Method;
import wan.vae.VaeDecoder;
import wan.video.VideoSink;

/** The video of a run's first sample, decoded on the processor while the run goes on: each frame block as soon as it is final. */
final class DecodedVideo implements AutoCloseable {
    private final TensorStore store;
    private final FrameOps ops;
    private final VideoSink sink;
    private final VaeDecoder decoder;
    private final int lastStep;
    private int frames;

    private DecodedVideo(TensorStore store, FrameOps ops, VideoSink sink, VaeDecoder decoder, int lastStep) {
        this.store = store;
        this.ops = ops;
        this.sink = sink;
        this.decoder = decoder;
        this.lastStep = lastStep;
    }

    /** Opens the VAE and begins the file, before the run does. */
    static DecodedVideo begin(RunSpec.Output.Decoded video, Job job) {
        requireFinalBlocks(job.plan().settings().method());
        JvmOptions defaults = JvmOptions.defaults();
        Integer threads = job.spec().device().threads();
        TensorStore store = TensorStore.open(video.vae());
        FrameOps ops = new JvmFrameOps(threads == null ? defaults : new JvmOptions(threads, defaults.kernels()));
        try {
            VaeDecoder decoder = new VaeDecoder(ops, store);
            int frames = VaeDecoder.frames(job.plan().settings().totalFrames());
            VideoSink sink = VideoSink.open(video.file(), frames, VideoSink.FRAMES_PER_SECOND);
            return new DecodedVideo(
                    store, ops, sink, decoder, job.plan().timesteps().size() - 1);
        } catch (RuntimeException e) {
            ops.close();
            store.close();
            throw e;
        }
    }

    /** Refuses a method whose frame blocks are not each final after the same number of steps. */
    private static void requireFinalBlocks(Method method) {
        boolean known = switch (method) {
            case Method.FewStep few -> few.firstBlockSteps().isEmpty();
            case Method.RecomputedKeys _ -> true;
            case Method.RollingWindow _, Method.Ode _ -> false;
        };
        if (!known) {
            throw new UsageException(
                    "output.video: expected a method that finishes frame blocks one after the other, each in"
                            + " the same steps, got " + method.getClass().getSimpleName()
                            + "; decode output.latents instead");
        }
    }

    /**
     * Takes what a pass has made.
     *
     * @param input of the pass, [B, f, C, H, W]: given frames where it is the pass of such
     * @param x0 what it predicts of the clean latents
     */
    void passDone(Pass pass, HostTensor input, @Nullable HostTensor x0) {
        switch (pass.id().kind()) {
            case INIT -> decode(input);
            case DENOISE -> {
                if (pass.id().step() == lastStep && x0 != null) {
                    decode(x0);
                }
            }
            case CONTEXT, STEP, WINDOW, UPDATE, RECACHE, RECOMPUTE -> {}
        }
    }

    private void decode(HostTensor latents) {
        Shape shape = latents.shape();
        Shape frame = Shape.of(shape.dim(2), shape.dim(3), shape.dim(4));
        for (int i = 0; i < shape.dim(1); i++) {
            float[] values = Arrays.copyOfRange(latents.values(), i * frame.intSize(), (i + 1) * frame.intSize());
            decoder.decode(new HostTensor(frame, values), decoded -> {
                sink.frame(decoded);
                frames++;
            });
        }
    }

    /** Puts the video in its place; of a run that ended early, as much as there is, where the format allows it. */
    void finish(boolean complete) {
        if (complete || (frames > 0 && sink.mayEndEarly())) {
            sink.finish();
        }
    }

    @Override
    public void close() {
        sink.close();
        ops.close();
        store.close();
    }
}
