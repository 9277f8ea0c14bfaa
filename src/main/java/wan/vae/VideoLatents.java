package wan.vae;

import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import wan.file.Messages;
import wan.file.TensorStore;
import wan.op.FormatException;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/** Latents of a video in a file: safetensors or PyTorch's. */
public final class VideoLatents {
    /** What {@link VaeEncoder}'s results are stored as, and what a run takes as given frames. */
    public static final String INITIAL = "initial_latent";

    private static final List<String> NAMES = List.of("output", INITIAL, "latents", "latent");

    private final HostTensor values;

    private VideoLatents(HostTensor values) {
        this.values = values;
    }

    /**
     * Reads the tensor {@code output}, {@code initial_latent}, {@code latents} or {@code latent}, or the only one
     * there is: [B, F, C, H, W] as a run saves it, [F, C, H, W], or [C, F, H, W] as Wan has it, told apart by the 16 channels.
     *
     * @param sample which of B
     */
    public static VideoLatents read(Path file, int sample) {
        try (TensorStore store = TensorStore.open(file)) {
            Set<String> names = store.names();
            String name = NAMES.stream().filter(names::contains).findFirst().orElseGet(() -> {
                if (names.size() != 1) {
                    throw WanException.mismatch(
                            file.toString(),
                            "a tensor named " + String.join(", ", NAMES),
                            names.size() + " others",
                            "");
                }
                return names.iterator().next();
            });
            String where = file + ": " + Messages.shown(name);
            TensorView view = store.tensor(name);
            Shape shape = view.shape();
            int rank = shape.rank();
            boolean channelsFirst = (rank == 4 || rank == 5) && shape.dim(-3) != VaeScale.CHANNELS;
            if ((rank != 4 && rank != 5)
                    || shape.size() == 0
                    || shape.dim(channelsFirst ? -4 : -3) != VaeScale.CHANNELS) {
                throw WanException.mismatch(
                        where,
                        "[B, F, 16, H, W], [F, 16, H, W] or [16, F, H, W]",
                        shape,
                        "these are not latents of Wan2.1");
            }
            int batch = rank == 5 ? shape.dim(0) : 1;
            if (sample < 0 || sample >= batch) {
                throw WanException.mismatch(where, "a sample below " + batch, sample, "");
            }
            int frames = shape.dim(channelsFirst ? -3 : -4);
            return new VideoLatents(frames(where, view.toFloats(), sample, frames, channelsFirst, shape));
        }
    }

    private static HostTensor frames(
            String where, float[] all, int sample, int frames, boolean channelsFirst, Shape shape) {
        int channels = VaeScale.CHANNELS;
        int pixels = shape.dim(-2) * shape.dim(-1);
        float[] out = new float[frames * channels * pixels];
        for (int frame = 0; frame < frames; frame++) {
            for (int channel = 0; channel < channels; channel++) {
                int plane = channelsFirst ? channel * frames + frame : frame * channels + channel;
                System.arraycopy(
                        all,
                        (sample * frames * channels + plane) * pixels,
                        out,
                        (frame * channels + channel) * pixels,
                        pixels);
            }
        }
        for (float value : out) {
            if (!Float.isFinite(value)) {
                throw new FormatException(where, "has values that are not finite");
            }
        }
        return new HostTensor(Shape.of(1, frames, channels, shape.dim(-2), shape.dim(-1)), out);
    }

    /** Latent frames. */
    public int frames() {
        return values.shape().dim(1);
    }

    /** One of them: [16, rows, columns]. */
    public HostTensor frame(int index) {
        Shape shape = values.shape();
        return new HostTensor(
                Shape.of(shape.dim(2), shape.dim(3), shape.dim(4)),
                values.frames(index, 1).values());
    }
}
