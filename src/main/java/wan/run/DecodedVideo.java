package wan.run;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import wan.file.TensorStore;
import wan.jvm.JvmFrameOps;
import wan.jvm.JvmOptions;
import wan.op.FrameOps;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.pass.Pass;
import wan.pass.PassId;
import wan.vae.LatentDecoder;
import wan.vae.VaeDecoder;
import wan.vae.VaeFiles;
import wan.video.VideoSink;

/** The video of a run's first sample, decoded on the processor while the run goes on: each frame block as soon as it is final. */
final class DecodedVideo implements AutoCloseable {
    private final TensorStore store;
    private final FrameOps ops;
    private final VideoSink sink;
    private final LatentDecoder decoder;
    /** Latent frames that are decoded. */
    private int latentFrames;

    private int frames;

    private DecodedVideo(TensorStore store, FrameOps ops, VideoSink sink, LatentDecoder decoder) {
        this.store = store;
        this.ops = ops;
        this.sink = sink;
        this.decoder = decoder;
    }

    /** Opens the VAE and begins the file, before the run does. */
    static DecodedVideo begin(RunSpec.Output.Decoded video, Job job) {
        JvmOptions defaults = JvmOptions.defaults();
        Integer threads = job.spec().device().threads();
        TensorStore store = VaeFiles.open(video.vae());
        FrameOps ops = new JvmFrameOps(threads == null ? defaults : new JvmOptions(threads, defaults.kernels()));
        try {
            LatentDecoder decoder = LatentDecoder.of(ops, store);
            int frames = VaeDecoder.frames(job.plan().settings().totalFrames());
            VideoSink sink = VideoSink.open(video.file(), frames, VideoSink.FRAMES_PER_SECOND);
            return new DecodedVideo(store, ops, sink, decoder);
        } catch (RuntimeException e) {
            ops.close();
            store.close();
            throw e;
        }
    }

    /**
     * Takes the frames that a pass has put into the cache, which are final; what no pass puts there comes in the end.
     *
     * @param input of the pass, [B, f, C, H, W]
     */
    void passDone(Pass pass, HostTensor input) {
        PassId.Kind kind = pass.id().kind();
        if ((kind == PassId.Kind.INIT || kind == PassId.Kind.CONTEXT) && pass.firstFrame() == latentFrames) {
            decode(input);
        }
    }

    /** Takes finished frames, the next ones in order: [B, f, C, H, W]. */
    void decode(HostTensor latents) {
        Shape shape = latents.shape();
        latentFrames += shape.dim(1);
        Shape frame = Shape.of(shape.dim(2), shape.dim(3), shape.dim(4));
        for (int i = 0; i < shape.dim(1); i++) {
            float[] values = Arrays.copyOfRange(latents.values(), i * frame.intSize(), (i + 1) * frame.intSize());
            decoder.decode(new HostTensor(frame, values), decoded -> {
                sink.frame(decoded);
                frames++;
            });
        }
    }

    /**
     * Puts the video in its place; of a run that ended early, as much as there is, where the format allows it.
     *
     * @param clean latents of all frames, [B, T, C, H, W], of a complete run
     */
    void finish(@Nullable HostTensor clean) {
        if (clean != null && clean.shape().dim(1) > latentFrames) {
            decode(clean.frames(latentFrames, clean.shape().dim(1) - latentFrames));
        }
        if (clean != null || (frames > 0 && sink.mayEndEarly())) {
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
