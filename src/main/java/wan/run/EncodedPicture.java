package wan.run;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.file.TensorStore;
import wan.jvm.JvmFrameOps;
import wan.jvm.JvmOptions;
import wan.op.FrameOps;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.sampling.FirstPicture;
import wan.vae.VaeDecoder;
import wan.vae.VaeEncoder;
import wan.vae.VaeFiles;

/**
 * Krea realtime's first picture. The K latent frames before a frame block are decoded to 1 + 4 (K - 1) frames of the video; the
 * oldest of these is encoded again as a first frame. Decodes the video up to there, on the processor. The VAE is opened when
 * the first picture is asked for.
 */
final class EncodedPicture implements FirstPicture {
    private final Path file;
    private final JvmOptions options;
    private final int contextFrames;
    private @Nullable Video video;

    /** The VAE and, of each sample, a decoder, the latent frames that it has decoded and the last frame of the video that it gave. */
    private static final class Video implements AutoCloseable {
        private final TensorStore store;
        private final FrameOps ops;
        private final List<VaeDecoder> decoders = new ArrayList<>();
        private final List<HostTensor> last = new ArrayList<>();
        private int decoded;

        Video(Path file, JvmOptions options, int batch) {
            store = VaeFiles.open(file);
            ops = new JvmFrameOps(options);
            try {
                for (int sample = 0; sample < batch; sample++) {
                    decoders.add(new VaeDecoder(ops, store));
                    last.add(HostTensor.zeros(Shape.of(1)));
                }
            } catch (RuntimeException e) {
                close();
                throw e;
            }
        }

        @Override
        public void close() {
            ops.close();
            store.close();
        }
    }

    /**
     * Opens nothing yet.
     *
     * @param file of the VAE
     * @param contextFrames latent frames that a frame block sees, K
     */
    EncodedPicture(Path file, JvmOptions options, int contextFrames) {
        this.file = file;
        this.options = options;
        this.contextFrames = contextFrames;
    }

    @Override
    public HostTensor before(int frameBlock, int firstFrame, HostTensor finished) {
        Shape all = finished.shape();
        int batch = all.dim(0);
        if (video == null) {
            video = new Video(file, options, batch);
        }
        // The oldest of these frames is the last one that this latent frame gives.
        int until = firstFrame - contextFrames;
        Shape latent = Shape.of(all.dim(2), all.dim(3), all.dim(4));
        HostTensor encoded = HostTensor.zeros(Shape.of(batch, 1, all.dim(2), all.dim(3), all.dim(4)));
        for (int sample = 0; sample < batch; sample++) {
            int at = sample;
            for (int frame = video.decoded; frame <= until; frame++) {
                int from = (sample * all.dim(1) + frame) * latent.intSize();
                float[] values = Arrays.copyOfRange(finished.values(), from, from + latent.intSize());
                List<HostTensor> last = video.last;
                video.decoders.get(sample).decode(new HostTensor(latent, values), shown -> last.set(at, shown));
            }
            // Its frames are let go with it, hence operations of its own.
            try (FrameOps ops = new JvmFrameOps(options)) {
                new VaeEncoder(ops, video.store).encode(clamped(video.last.get(sample)), one -> {
                    System.arraycopy(one.values(), 0, encoded.values(), at * latent.intSize(), latent.intSize());
                });
            }
        }
        video.decoded = Math.max(video.decoded, until + 1);
        return encoded;
    }

    /** As a picture has its values, from -1 to 1. */
    private static HostTensor clamped(HostTensor frame) {
        float[] values = frame.values().clone();
        for (int i = 0; i < values.length; i++) {
            values[i] = Math.clamp(values[i], -1f, 1f);
        }
        return new HostTensor(frame.shape(), values);
    }

    @Override
    public void close() {
        if (video != null) {
            video.close();
            video = null;
        }
    }
}
