package wan.model;

import org.jspecify.annotations.Nullable;
import wan.op.AttentionKind;
import wan.op.AttentionTap;
import wan.op.Dyn;
import wan.op.KvTensor;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Scope;
import wan.op.Tensor;
import wan.op.WeightSource;

/** One transformer layer: {@code CausalWanAttentionBlock} in the reference's {@code causal_model.py}. Not thread-safe. */
public final class WanLayer {
    private static final int SHIFT = 0;
    private static final int SCALE = 1;
    private static final int GATE = 2;
    private static final int FFN_SHIFT = 3;
    private static final int FFN_SCALE = 4;
    private static final int FFN_GATE = 5;

    /** Cross-attention attends to the one page that holds the whole text. */
    private final Dyn text = new Dyn("text", 1);

    private final int index;
    private final WanConfig config;
    private final Ops ops;
    private final LayerWeights w;

    /**
     * Takes the layer's parameters from the source, as {@link WanModel} does for all layers.
     *
     * @param index of the layer, which names its parameters
     * @param weights stays open as long as the layer is used
     */
    public WanLayer(int index, WanConfig config, WeightSource weights, Ops ops) {
        this.index = index;
        this.config = config;
        this.ops = ops;
        this.w = LayerWeights.load(ops, weights, index, config);
        text.set(0);
    }

    /**
     * Runs the layer on the residual stream in place.
     *
     * @param x [B * F * S, dim], updated
     * @param e0 time embedding of every frame, [B * F, 6 * dim]
     * @param frames the cache that the pass's keys and values go to and that it attends
     * @param context keys and values of the text, from {@link #encodeContext}
     * @param workspace where unrotated keys are turned, or null
     */
    public void forward(
            Tensor x,
            Tensor e0,
            Step step,
            KvTensor frames,
            KvTensor context,
            @Nullable KvTensor workspace,
            PassObserver observer) {
        float eps = config.eps();
        int heads = config.numHeads();
        int s = step.grid().frameSeqLen();
        try (Scope _ = ops.scope()) {
            Tensor m = ops.modulation(w.modulation(), e0); // [B * F, 6, dim]

            Tensor h = ops.layerNormModulate(x, m, SHIFT, SCALE, eps);
            Tensor q = ops.rmsNorm(ops.linear(h, w.selfAttn().q()), w.selfAttn().normQ(), eps);
            Tensor k = ops.rmsNorm(ops.linear(h, w.selfAttn().k()), w.selfAttn().normK(), eps);
            Tensor v = ops.linear(h, w.selfAttn().v());
            ops.rope(q, heads, step.grid(), step.positions());
            AttentionTap tap = observer.tap(index, AttentionKind.SELF);
            Tensor a;
            if (step.turn() == null || workspace == null) {
                ops.rope(k, heads, step.grid(), step.positions());
                ops.append(frames, k, v, step.written());
                a = ops.attention(q, frames, step.attended(), s, s, tap);
            } else {
                ops.append(frames, k, v, step.written());
                turn(k, v, step, step.turn(), frames, workspace);
                a = ops.attention(q, workspace, step.turn().attended(), s, s, tap);
            }
            ops.linearGatedResidual(x, a, w.selfAttn().o(), m, GATE);

            Tensor n = ops.layerNorm(x, w.norm3Weight(), w.norm3Bias(), eps);
            Tensor cq =
                    ops.rmsNorm(ops.linear(n, w.crossAttn().q()), w.crossAttn().normQ(), eps);
            Tensor c = ops.attention(cq, context, text, s, 1, observer.tap(index, AttentionKind.CROSS));
            ops.linearResidual(x, c, w.crossAttn().o());

            Tensor f = ops.linearGelu(ops.layerNormModulate(x, m, FFN_SHIFT, FFN_SCALE, eps), w.ffn0());
            ops.linearGatedResidual(x, f, w.ffn2(), m, FFN_GATE);
        }
        observer.layerDone(index);
    }

    /** Puts what is attended side by side in the workspace, every key turned to its time position. */
    private void turn(Tensor k, Tensor v, Step step, Step.Turn turn, KvTensor frames, KvTensor workspace) {
        int heads = config.numHeads();
        if (turn.cached().frames() > 0) {
            try (Scope _ = ops.scope()) {
                Tensor cached = ops.load(frames, 0, step.attended());
                ops.rope(cached, heads, turn.cached(), turn.positions());
                ops.append(workspace, cached, ops.load(frames, 1, step.attended()), turn.copies());
            }
        }
        ops.rope(k, heads, step.grid(), step.positions());
        ops.append(workspace, k, v, turn.own());
    }

    /**
     * Keys and values of the text, the same for all passes of a run.
     *
     * @param context embedded text, [B * textLen, dim]
     * @return a cache of one page; the caller releases it
     */
    public KvTensor encodeContext(Tensor context) {
        int batch = context.shape().dim(0) / config.textLen();
        KvTensor cache = ops.kvCache(batch, 1, config.textLen(), config.numHeads(), config.headDim());
        try (Scope _ = ops.scope()) {
            Tensor k = ops.rmsNorm(
                    ops.linear(context, w.crossAttn().k()), w.crossAttn().normK(), config.eps());
            ops.append(cache, k, ops.linear(context, w.crossAttn().v()), text);
        }
        return cache;
    }
}
