package wan.model;

import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import wan.op.AttentionKind;
import wan.op.CachePart;
import wan.op.Dyn;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Scope;
import wan.op.Site;
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

    /** Between the projections of self-attention and its product. */
    private static final List<Site> INPUTS = List.of(Site.Q_RAW, Site.K_RAW, Site.V, Site.Q, Site.K);

    /** Cross-attention attends to the one page that holds the whole text, or all of a picture. */
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
        this(index, config, new Weights(config, weights, ops));
    }

    /** Of a model whose parameters are declared already. */
    WanLayer(int index, WanConfig config, Weights weights) {
        this.index = index;
        this.config = config;
        this.ops = weights.ops();
        this.w = LayerWeights.load(weights.in("blocks." + index + "."), config.imageDim() > 0);
        text.set(0);
    }

    /**
     * Runs the layer on the residual stream in place.
     *
     * @param x [B * F * S, dim], updated
     * @param e0 time embedding of every frame, [B * F, 6 * dim]
     * @param frames the cache that the pass's keys and values go to and that it attends to
     * @param context keys and values of the text, from {@link #encodeContext}
     * @param image keys and values of a picture's tokens, from {@link #encodeImage}, or null
     * @param workspace where unrotated keys are turned, or null
     */
    public void forward(
            Tensor x,
            Tensor e0,
            Step step,
            KvTensor frames,
            KvTensor context,
            @Nullable KvTensor image,
            @Nullable KvTensor workspace,
            PassObserver observer) {
        float eps = config.eps();
        int s = step.grid().frameSeqLen();
        observer.begin(index, frames, ops);
        try (Scope _ = ops.scope()) {
            Tensor m = ops.modulation(w.modulation(), e0); // [B * F, 6, dim]

            Tensor h = ops.layerNormModulate(x, m, SHIFT, SCALE, eps);
            List<Tensor> qkv = ops.linears(
                    h, List.of(w.selfAttn().q(), w.selfAttn().k(), w.selfAttn().v()));
            Tensor a = selfAttention(qkv.get(0), qkv.get(1), qkv.get(2), step, frames, workspace, observer);
            visit(Site.Z, a, observer);
            addGated(x, a, w.selfAttn().o(), m, GATE, Site.ATTN_OUT, observer);

            Tensor n = ops.layerNorm(x, w.norm3Weight(), w.norm3Bias(), eps);
            Tensor cq =
                    ops.rmsNorm(ops.linear(n, w.crossAttn().q()), w.crossAttn().normQ(), eps);
            visit(Site.CROSS_Q, cq, observer);
            Tensor c = attention(AttentionKind.CROSS, cq, context, text, s, 1, observer);
            if (image != null) {
                Tensor i = attention(AttentionKind.IMAGE, cq, image, text, s, 1, observer);
                ops.mixHeads(c, 1, new int[] {0}, 1, i); // two softmaxes, one sum
            }
            visit(Site.CROSS_Z, c, observer);
            addText(x, c, observer);

            Tensor f = ops.linearGelu(ops.layerNormModulate(x, m, FFN_SHIFT, FFN_SCALE, eps), w.ffn0());
            addGated(x, f, w.ffn2(), m, FFN_GATE, Site.FFN_OUT, observer);
            visit(Site.RESID, x, observer);
        }
        observer.layerDone(index);
    }

    private Tensor selfAttention(
            Tensor qRaw,
            Tensor kRaw,
            Tensor v,
            Step step,
            KvTensor frames,
            @Nullable KvTensor workspace,
            PassObserver observer) {
        int heads = config.numHeads();
        int s = step.grid().frameSeqLen();
        Tensor normQ = w.selfAttn().normQ();
        Tensor normK = w.selfAttn().normK();
        if (step.turn() == null && INPUTS.stream().noneMatch(site -> concerns(site, observer))) {
            Tensor q = ops.normRopeAppend(
                    frames, qRaw, kRaw, v, normQ, normK, config.eps(), step.grid(), step.positions(), step.written());
            return attention(AttentionKind.SELF, q, frames, step.attended(), s, s, observer);
        }
        Tensor q = ops.rmsNorm(qRaw, normQ, config.eps());
        Tensor k = ops.rmsNorm(kRaw, normK, config.eps());
        visit(Site.Q_RAW, q, observer);
        visit(Site.K_RAW, k, observer);
        visit(Site.V, v, observer);
        ops.rope(q, heads, step.grid(), step.positions());
        visit(Site.Q, q, observer);
        if (step.turn() == null || workspace == null) {
            ops.rope(k, heads, step.grid(), step.positions());
            visit(Site.K, k, observer);
            ops.append(frames, k, v, step.written());
            return attention(AttentionKind.SELF, q, frames, step.attended(), s, s, observer);
        }
        ops.append(frames, k, v, step.written());
        turn(k, v, step, step.turn(), frames, workspace, observer);
        return attention(AttentionKind.SELF, q, workspace, step.turn().attended(), s, s, observer);
    }

    /** Puts what is attended side by side in the workspace, every key turned to its time position. */
    private void turn(
            Tensor k, Tensor v, Step step, Step.Turn turn, KvTensor frames, KvTensor workspace, PassObserver observer) {
        int heads = config.numHeads();
        if (turn.cached().frames() > 0) {
            try (Scope _ = ops.scope()) {
                Tensor cached = ops.loadPages(frames, CachePart.KEYS, step.attended());
                ops.rope(cached, heads, turn.cached(), turn.positions());
                ops.append(workspace, cached, ops.loadPages(frames, CachePart.VALUES, step.attended()), turn.copies());
            }
        }
        ops.rope(k, heads, step.grid(), step.positions());
        visit(Site.K, k, observer);
        ops.append(workspace, k, v, turn.own());
    }

    private Tensor attention(
            AttentionKind kind,
            Tensor q,
            KvTensor cache,
            Dyn pages,
            int queryGroupTokens,
            int keyGroupTokens,
            PassObserver observer) {
        return ops.attention(
                q,
                cache,
                pages,
                queryGroupTokens,
                keyGroupTokens,
                observer.tap(index, kind),
                observer.edit(index, kind));
    }

    private void visit(Site site, Tensor x, PassObserver observer) {
        if (concerns(site, observer)) {
            observer.visit(index, site, x, ops);
        }
    }

    private boolean concerns(Site site, PassObserver observer) {
        return observer.looksAt(index, site) || observer.changes(index, site);
    }

    /** Adds a gated product to the residual stream, in one operation unless the product itself is to be changed. */
    private void addGated(
            Tensor x, Tensor input, Linear linear, Tensor m, int gateRow, Site product, PassObserver observer) {
        if (observer.changes(index, product)) {
            Tensor y = ops.linear(input, linear);
            visit(product, y, observer);
            ops.gatedResidual(x, y, m, gateRow);
            return;
        }
        if (observer.looksAt(index, product)) {
            visit(product, ops.linear(input, linear), observer);
        }
        ops.linearGatedResidual(x, input, linear, m, gateRow);
    }

    /** As {@link #addGated}, for cross-attention, which has no gate. */
    private void addText(Tensor x, Tensor input, PassObserver observer) {
        Linear linear = w.crossAttn().o();
        if (observer.changes(index, Site.CROSS_OUT)) {
            Tensor y = ops.linear(input, linear);
            visit(Site.CROSS_OUT, y, observer);
            ops.mixHeads(x, 1, new int[] {0}, 1, y);
            return;
        }
        if (observer.looksAt(index, Site.CROSS_OUT)) {
            visit(Site.CROSS_OUT, ops.linear(input, linear), observer);
        }
        ops.linearResidual(x, input, linear);
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
        } catch (Throwable e) {
            ops.release(cache);
            throw e;
        }
        return cache;
    }

    /**
     * Keys and values of a picture's tokens, the same for all passes of a run.
     *
     * @param tokens embedded features, [B * tokens, dim]
     * @param batch samples
     * @return a cache of one page; the caller releases it
     */
    public KvTensor encodeImage(Tensor tokens, int batch) {
        LayerWeights.ImageKeys keys = Objects.requireNonNull(w.image());
        int count = tokens.shape().dim(0) / batch;
        KvTensor cache = ops.kvCache(batch, 1, count, config.numHeads(), config.headDim());
        try (Scope _ = ops.scope()) {
            Tensor k = ops.rmsNorm(ops.linear(tokens, keys.k()), keys.normK(), config.eps());
            ops.append(cache, k, ops.linear(tokens, keys.v()), text);
        } catch (Throwable e) {
            ops.release(cache);
            throw e;
        }
        return cache;
    }
}
