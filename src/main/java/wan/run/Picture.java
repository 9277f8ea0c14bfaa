package wan.run;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import wan.file.Contents;
import wan.file.TensorStore;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.UsageException;

/**
 * A picture as image-to-video models take it.
 *
 * @param channels appended to the latents' in every pass, mask and latent: [1, F, C, H, W]
 * @param features what cross-attention attends to besides the text, [1, tokens, features]
 * @param firstFrame its latent as the video's first frame, [1, 1, C, H, W]
 */
record Picture(
        @Nullable HostTensor channels,
        @Nullable HostTensor features,
        @Nullable HostTensor firstFrame) {
    /** No picture. */
    static final Picture NONE = new Picture(null, null, null);

    /** Reads tensors {@code y}, {@code clip_fea} and {@code image_latent} of a file, those that are there. */
    static Picture read(@Nullable Path file) {
        if (file == null) {
            return NONE;
        }
        try (TensorStore store = TensorStore.open(file)) {
            HostTensor features = oneSample(tensor(store, "clip_fea", 3));
            HostTensor channels = tensor(store, "y", 4);
            HostTensor first = tensor(store, "image_latent", 4);
            if (features == null && channels == null && first == null) {
                throw new UsageException("video.picture: expected a file with y, clip_fea or image_latent, got " + file
                        + " with none of them" + Contents.of(store.names()).itIs());
            }
            return new Picture(
                    channels == null ? null : framesFirst(channels),
                    features,
                    first == null ? null : framesFirst(first));
        }
    }

    /** The tokens of several pictures one after the other: CLIP gives [2, n, d] of a first and a last frame. */
    private static @Nullable HostTensor oneSample(@Nullable HostTensor features) {
        if (features == null || features.shape().dim(0) == 1) {
            return features;
        }
        Shape shape = features.shape();
        return new HostTensor(Shape.of(1, (long) shape.dim(0) * shape.dim(1), shape.dim(2)), features.values());
    }

    private static @Nullable HostTensor tensor(TensorStore store, String name, int rank) {
        if (!store.names().contains(name)) {
            return null;
        }
        TensorView view = store.tensor(name);
        if (view.shape().rank() != rank) {
            throw new UsageException(
                    "video.picture: expected " + name + " with " + rank + " axes, got " + view.shape());
        }
        return new HostTensor(view.shape(), view.toFloats()).requireFinite(name);
    }

    /** [C, F, H, W] as [1, F, C, H, W]. */
    static HostTensor framesFirst(HostTensor tensor) {
        Shape shape = tensor.shape();
        int channels = shape.dim(0);
        int frames = shape.dim(1);
        int cells = shape.dim(2) * shape.dim(3);
        HostTensor out = HostTensor.zeros(Shape.of(1, frames, channels, shape.dim(2), shape.dim(3)));
        for (int i = 0; i < channels * frames; i++) {
            int to = i % frames * channels + i / frames;
            System.arraycopy(tensor.values(), i * cells, out.values(), to * cells, cells);
        }
        return out;
    }
}
