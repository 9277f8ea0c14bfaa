package wan.vae;

import org.jspecify.annotations.Nullable;
import wan.op.Convolution;
import wan.op.FrameOps;
import wan.op.FrameOps.Activation;
import wan.op.FrameOps.Before;
import wan.op.FrameOps.Sampling;
import wan.op.FrameOps.Sum;
import wan.op.Shape;
import wan.op.Tensor;

/** x + proj(attention(norm(x))): one head over the pixels of each frame; frames do not see each other. */
final class AttentionBlock implements Stage {
    private final FrameOps ops;
    private final Before norm;
    private final Convolution toQkv;
    private final Convolution proj;
    private @Nullable Tensor qkv;
    private @Nullable Tensor mixed;

    AttentionBlock(FrameOps ops, VaeParameters parameters, String name) {
        this.ops = ops;
        norm = new Before(ops.parameter(parameters.gamma(name + ".norm.gamma")), Activation.NONE);
        toQkv = ops.convolution(parameters.get(name + ".to_qkv.weight"), parameters.get(name + ".to_qkv.bias"));
        proj = ops.convolution(parameters.get(name + ".proj.weight"), parameters.get(name + ".proj.bias"));
    }

    @Override
    public void push(Tensor x, Next next) {
        if (qkv == null || mixed == null) {
            qkv = ops.allocate(
                    Shape.of(toQkv.outChannels(), x.shape().dim(1), x.shape().dim(2)));
            mixed = ops.allocate(x.shape());
        }
        ops.convolve(x, norm, Sampling.SAME, toQkv, new Sum(0, null, qkv, false));
        ops.attention(qkv, mixed);
        ops.convolve(mixed, Before.NOTHING, Sampling.SAME, proj, new Sum(0, null, x, true));
        next.accept(x);
    }
}
