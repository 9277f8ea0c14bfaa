package wan.vae;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import wan.file.Messages;
import wan.file.TensorStore;
import wan.file.Zeros;
import wan.op.Convolution;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.FrameOps;
import wan.op.FrameOps.Activation;
import wan.op.FrameOps.Before;
import wan.op.FrameOps.Sampling;
import wan.op.FrameOps.Sum;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * The small decoder that previews use: TAEHV's layout for Wan2.1 ({@code taew2_1.pth}, {@code taew2_1.safetensors}), which takes the
 * transformer's latents as they are.
 *
 * <p>Its layers are numbered as in the file. A block sees its frame and the one before; where time doubles, a convolution of one pixel gives
 * the channels of both frames. The first three of four frames that the first latent frame gives are left out, so that times are
 * those of Wan's own VAE. Layout from github.com/madebyollin/taehv, commit 1f14a568.
 */
public final class TinyDecoder implements LatentDecoder {
    private static final String FIRST = "decoder.1.weight";
    /** First layers of what runs at one size each: three blocks, sampling in time, sampling in space. */
    private static final List<Integer> STAGES = List.of(3, 9, 15);

    private static final int BLOCKS = 3;
    private static final int TIME_AFTER = 4;
    private static final int SPACE_AFTER = 5;
    private static final int LAST = 22;

    /** How many frames a frame becomes after each stage. */
    private static final List<Integer> FRAMES = List.of(1, 2, 2);

    private static final Before RELU = new Before(null, Activation.RELU);

    private final FrameOps ops;
    private final TensorStore store;
    private final List<String> used = new ArrayList<>();
    private final int latentChannels;
    private final Chain chain;
    private @Nullable Tensor z;
    private int leftOut = VaeDecoder.TIME - 1;

    TinyDecoder(FrameOps ops, TensorStore store) {
        this.ops = ops;
        this.store = store;
        latentChannels = view(FIRST).shape().dim(1);
        if (latentChannels != VaeScale.CHANNELS) {
            throw WanException.mismatch(
                    store.path().toString(),
                    VaeScale.CHANNELS + " latent channels, those of taew2_1",
                    latentChannels,
                    "taew2_2 is for the latents of Wan2.2 5B");
        }
        List<Chain.Layer> layers = new ArrayList<>();
        layers.add(layer("decoder.1", new Plain(whole("decoder.1"), Before.NOTHING, Sampling.SAME, true)));
        for (int stage = 0; stage < STAGES.size(); stage++) {
            int first = STAGES.get(stage);
            for (int i = first; i < first + BLOCKS; i++) {
                layers.add(layer("decoder." + i, new RecallingBlock("decoder." + i)));
            }
            String time = "decoder." + (first + TIME_AFTER);
            String space = "decoder." + (first + SPACE_AFTER);
            layers.add(layer(time, new Growing(time + ".conv", FRAMES.get(stage))));
            // Pixels are repeated after this one in the file, where it does the same to more of them.
            layers.add(layer(space, new Plain(whole(space), Before.NOTHING, Sampling.DOUBLED, false)));
        }
        layers.add(layer("decoder." + LAST, new Plain(whole("decoder." + LAST), RELU, Sampling.SAME, false)));
        chain = new Chain(ops, layers, null, ops.pixelsAtOnce());
        requireWhole();
    }

    private static Chain.Layer layer(String name, Stage stage) {
        return new Chain.Layer(name, stage);
    }

    static boolean isIn(TensorStore store) {
        return store.names().contains(FIRST) && store.names().contains("decoder.3.conv.0.weight");
    }

    private void requireWhole() {
        List<String> left = store.names().stream()
                .filter(name -> name.startsWith("decoder.") && !used.contains(name))
                .toList();
        if (!left.isEmpty()) {
            throw new FormatException(
                    store.path(),
                    "the tensors are not those of taew2_1: " + left.size() + " belong to no layer: "
                            + Messages.listed(left, VaeParameters.MOST_LISTED));
        }
        Zeros.refuse(store, Set.copyOf(used), Set.of());
    }

    private TensorView view(String name) {
        used.add(name);
        return store.tensor(name);
    }

    private static TensorView view(String name, Shape shape, float[] values) {
        return new TensorView(name, DType.F32, shape, MemorySegment.ofArray(values));
    }

    /** A convolution as it is stored; without a bias where there is none. */
    private Convolution whole(String name) {
        return ops.convolution(view(name + ".weight"), bias(name));
    }

    private TensorView bias(String name) {
        if (store.names().contains(name + ".bias")) {
            return view(name + ".bias");
        }
        int out = view(name + ".weight").shape().dim(0);
        return view(name + ".bias", Shape.of(out), new float[out]);
    }

    @Override
    public int latentChannels() {
        return latentChannels;
    }

    @Override
    public void decode(HostTensor latent, FrameListener listener) {
        require(latent);
        float[] values = new float[latent.values().length];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) Math.tanh(latent.values()[i] / 3) * 3;
        }
        if (z == null) {
            z = ops.allocate(latent.shape());
        } else if (!z.shape().equals(latent.shape())) {
            throw WanException.mismatch("latents", z.shape(), latent.shape(), "all frames of a video have one size");
        }
        ops.write(z, values);
        chain.push(z, frame -> {
            if (leftOut > 0) {
                leftOut--;
                return;
            }
            float[] pixels = ops.read(frame);
            for (int i = 0; i < pixels.length; i++) {
                pixels[i] = 2 * pixels[i] - 1; // from 0 to 1
            }
            listener.frame(new HostTensor(frame.shape(), pixels).requireFinite("decoded frame"));
        });
    }

    /** A convolution of one frame, then max(v, 0) if told so. */
    private final class Plain implements Stage {
        private final Convolution weights;
        private final Before before;
        private final Sampling sampling;
        private final boolean relu;
        private @Nullable Tensor result;

        Plain(Convolution weights, Before before, Sampling sampling, boolean relu) {
            this.weights = weights;
            this.before = before;
            this.sampling = sampling;
            this.relu = relu;
        }

        @Override
        public void push(Tensor x, Next next) {
            long by = sampling == Sampling.DOUBLED ? 2 : 1;
            if (result == null) {
                result = ops.allocate(Shape.of(
                        weights.outChannels(),
                        by * x.shape().dim(1),
                        by * x.shape().dim(2)));
            }
            ops.convolve(x, before, sampling, weights, new Sum(0, null, result, false));
            if (relu) {
                ops.relu(result);
            }
            next.accept(result);
        }
    }

    /** relu(x + conv(relu(conv(relu(conv(x and the frame before)))))). */
    private final class RecallingBlock implements Stage {
        private final Convolution conv0;
        private final Convolution conv2;
        private final Convolution conv4;
        /** What the current frame gives to the next one's first convolution. */
        private @Nullable Tensor ahead;

        private @Nullable Tensor h;
        private @Nullable Tensor g;

        RecallingBlock(String name) {
            conv0 = overTwoFrames(name + ".conv.0");
            conv2 = whole(name + ".conv.2");
            conv4 = whole(name + ".conv.4");
        }

        /** [out, present and past channels, 3, 3] as a kernel over two frames, [out, channels, past and present, 3, 3]. */
        private Convolution overTwoFrames(String name) {
            TensorView weight = view(name + ".weight");
            Shape shape = weight.shape();
            if (shape.rank() != 4 || shape.dim(1) % 2 != 0) {
                throw WanException.mismatch(store.path() + ": " + weight.name(), "[out, 2 in, 3, 3]", shape, "");
            }
            int channels = shape.dim(1) / 2;
            int window = shape.dim(2) * shape.dim(3);
            float[] from = weight.toFloats();
            float[] to = new float[from.length];
            for (int out = 0; out < shape.dim(0); out++) {
                for (int c = 0; c < channels; c++) {
                    int present = (out * 2 * channels + c) * window;
                    int at = (out * channels + c) * 2 * window;
                    System.arraycopy(from, present + channels * window, to, at, window);
                    System.arraycopy(from, present, to, at + window, window);
                }
            }
            Shape framed = Shape.of(shape.dim(0), channels, 2, shape.dim(2), shape.dim(3));
            return ops.convolution(view(weight.name(), framed, to), bias(name));
        }

        @Override
        public void push(Tensor x, Next next) {
            Shape shape =
                    Shape.of(conv0.outChannels(), x.shape().dim(1), x.shape().dim(2));
            if (ahead == null || h == null || g == null) {
                ahead = ops.allocate(shape);
                ops.fillWithBias(ahead, conv0);
                h = ops.allocate(shape);
                g = ops.allocate(shape);
            }
            ops.convolve(
                    x,
                    Before.NOTHING,
                    Sampling.SAME,
                    conv0,
                    new Sum(1, ahead, h, false),
                    new Sum(0, null, ahead, false));
            ops.convolve(h, RELU, Sampling.SAME, conv2, new Sum(0, null, g, false));
            ops.convolve(g, RELU, Sampling.SAME, conv4, new Sum(0, null, x, true));
            ops.relu(x);
            next.accept(x);
        }
    }

    /** Several frames from one, each a part of the channels that a convolution of one pixel gives. */
    private final class Growing implements Stage {
        private final List<Convolution> parts = new ArrayList<>();
        private @Nullable Tensor result;

        /** Of more parts than are wanted the last are taken, as the decoder's own code does. */
        Growing(String name, int frames) {
            TensorView weight = view(name + ".weight");
            int in = weight.shape().dim(1);
            int present = weight.shape().dim(0) / in;
            if (weight.shape().rank() != 4 || weight.shape().dim(0) % in != 0 || present < frames) {
                throw WanException.mismatch(
                        store.path() + ": " + weight.name(),
                        "[" + frames * in + ", " + in + ", 1, 1]",
                        weight.shape(),
                        "");
            }
            float[] values = weight.toFloats();
            for (int part = present - frames; part < present; part++) {
                float[] its = Arrays.copyOfRange(values, part * in * in, (part + 1) * in * in);
                parts.add(ops.convolution(
                        view(name, Shape.of(in, in, 1, 1), its), view(name, Shape.of(in), new float[in])));
            }
        }

        @Override
        public void push(Tensor x, Next next) {
            if (result == null) {
                result = ops.allocate(x.shape());
            }
            for (Convolution part : parts) {
                ops.convolve(x, Before.NOTHING, Sampling.SAME, part, new Sum(0, null, result, false));
                next.accept(result);
            }
        }
    }
}
