package wan.model;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.op.HostTensor;
import wan.op.KvTensor;
import wan.op.LayerEntry;
import wan.op.Linear;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;
import wan.op.WeightSource;

/**
 * The causal Wan2.1 transformer ({@code CausalWanModel} in the reference's {@code wan/modules/causal_model.py}): noisy latents
 * of one frame block, a timestep per frame and the cached frames before it give the flow.
 *
 * <p>It holds parameters only; caches belong to whoever runs it. Not thread-safe.
 */
public final class WanModel {
    private final WanConfig config;
    private final Ops ops;
    private final Linear patchEmbedding;
    private final Linear textEmbedding0;
    private final Linear textEmbedding2;
    private final Linear timeEmbedding0;
    private final Linear timeEmbedding2;
    private final Linear timeProjection;
    private final @Nullable ImageEmbedding imageEmbedding;
    private final List<WanLayer> layers = new ArrayList<>();
    private final Tensor headModulation;
    private final Linear head;

    /**
     * Takes every parameter from the source; the backend may read their bytes only when they are used first.
     *
     * @param weights stays open as long as the model is used
     * @throws WanException if a parameter is missing or of another shape
     */
    public WanModel(WanConfig config, WeightSource weights, Ops ops) {
        this.config = config;
        this.ops = ops;
        Weights named = new Weights(config, weights, ops);
        patchEmbedding = named.precise("patch_embedding");
        textEmbedding0 = named.precise("text_embedding.0");
        textEmbedding2 = named.precise("text_embedding.2");
        timeEmbedding0 = named.precise("time_embedding.0");
        timeEmbedding2 = named.precise("time_embedding.2");
        timeProjection = named.precise("time_projection.1");
        imageEmbedding = config.imageDim() == 0 ? null : new ImageEmbedding(config, named.in("img_emb."));
        for (int i = 0; i < config.numLayers(); i++) {
            layers.add(new WanLayer(i, config, named));
        }
        headModulation = named.parameter("head.modulation");
        head = named.precise("head.head");
    }

    /** The sizes. */
    public WanConfig config() {
        return config;
    }

    /** The backend that the model runs on. */
    public Ops ops() {
        return ops;
    }

    /**
     * Embeds prompts and computes the keys and values that cross-attention needs, once for a whole run. Padding rows are
     * embedded and attended like any other, as in the reference.
     *
     * @param promptEmbeds [B, textLen, textDim], zero after each prompt's end
     * @param numLayers how many layers will run
     * @return one cache of one page per layer; the caller releases them
     */
    public List<KvTensor> encodeContext(HostTensor promptEmbeds, int numLayers) {
        Shape got = promptEmbeds.shape();
        if (got.rank() != 3 || got.dim(1) != config.textLen() || got.dim(2) != config.textDim()) {
            throw WanException.mismatch(
                    "prompt_embeds",
                    "[B, " + config.textLen() + ", " + config.textDim() + "]",
                    got,
                    "pad every prompt with zero rows to text_len");
        }
        List<KvTensor> caches = new ArrayList<>();
        try (Scope _ = ops.scope()) {
            Tensor context = embedText(promptEmbeds.requireFinite("prompt_embeds"));
            for (WanLayer layer : layers.subList(0, numLayers)) {
                caches.add(layer.encodeContext(context));
            }
        } catch (Throwable e) {
            caches.forEach(ops::release);
            throw e;
        }
        return caches;
    }

    /**
     * Embeds a picture's features and computes the keys and values that cross-attention needs, once for a whole run.
     *
     * @param features [B, tokens, imageDim]
     * @param numLayers how many layers will run
     * @return one cache of one page per layer; the caller releases them
     */
    public List<KvTensor> encodeImage(HostTensor features, int numLayers) {
        Shape got = features.shape();
        if (imageEmbedding == null || got.rank() != 3 || got.dim(2) != config.imageDim()) {
            throw WanException.mismatch(
                    "features of a picture",
                    config.imageDim() == 0 ? "none" : "[B, tokens, " + config.imageDim() + "]",
                    got,
                    "");
        }
        List<KvTensor> caches = new ArrayList<>();
        try (Scope _ = ops.scope()) {
            Tensor tokens = imageEmbedding.embed(features);
            for (WanLayer layer : layers.subList(0, numLayers)) {
                caches.add(layer.encodeImage(tokens, got.dim(0)));
            }
        } catch (Throwable e) {
            caches.forEach(ops::release);
            throw e;
        }
        return caches;
    }

    /** All rows of the prompts, padding included, in the width of the model: [B * textLen, dim]. */
    Tensor embedText(HostTensor promptEmbeds) {
        Tensor embeds = ops.scratch(Shape.of(promptEmbeds.values().length / config.textDim(), config.textDim()));
        ops.write(embeds, promptEmbeds.values());
        return ops.linear(ops.linearGelu(embeds, textEmbedding0), textEmbedding2);
    }

    /** An empty cache for one layer's self-attention; a page holds one frame. */
    public KvTensor newFrameCache(int batch, int pages, int frameSeqLen) {
        return ops.kvCache(batch, pages, frameSeqLen, config.numHeads(), config.headDim());
    }

    /**
     * Runs all layers and the head.
     *
     * @param latents noisy latents, [B, F, inDim, H, W]
     * @param timesteps one per frame, [B * F], or one per token, [B * F * S], on the scale 0 to 1000
     * @return the predicted flow, [B, F, outDim, H, W]
     */
    public HostTensor forward(HostTensor latents, float[] timesteps, Step step, Caches caches, PassObserver observer) {
        try (Scope _ = ops.scope()) {
            Tensor e = timeEmbedding(timesteps);
            Tensor x = runLayers(latents, e, step, caches, config.numLayers(), observer);
            Tensor flow = ops.unpatchify(head(x, e), step.grid());
            return new HostTensor(flow.shape(), ops.read(flow));
        }
    }

    /**
     * Runs only the first layers, for their effect on the caches and the observer.
     *
     * @param numLayers how many; the other parameters are those of {@link #forward}
     */
    public void forwardLayers(
            HostTensor latents, float[] timesteps, Step step, Caches caches, int numLayers, PassObserver observer) {
        try (Scope _ = ops.scope()) {
            Tensor _ = runLayers(latents, timeEmbedding(timesteps), step, caches, numLayers, observer);
        }
    }

    /** The time embedding of every frame before activation and projection, [B * F, dim]. */
    Tensor timeEmbedding(float[] timesteps) {
        Tensor sinusoid = ops.scratch(Shape.of(timesteps.length, config.freqDim()));
        ops.write(sinusoid, Sinusoid.embed(timesteps, config.freqDim()));
        return ops.linear(ops.silu(ops.linear(sinusoid, timeEmbedding0)), timeEmbedding2);
    }

    /** What the layers' modulations are added to, [B * F, 6 * dim]. */
    Tensor timeProjection(Tensor e) {
        return ops.linear(ops.silu(e), timeProjection);
    }

    /** The output patches, [B * F * S, 4 * outDim]; modulated by e itself, not by its projection. */
    Tensor head(Tensor x, Tensor e) {
        Tensor m = ops.modulation(headModulation, e); // [B * F, 2, dim]
        return ops.linear(ops.layerNormModulate(x, m, 0, 1, config.eps()), head);
    }

    /** Latents [B, F, inDim, H, W] as tokens [B * F * S, dim]. */
    Tensor embedPatches(HostTensor latents) {
        Tensor input = ops.scratch(latents.shape());
        ops.write(input, latents.values());
        return ops.linear(ops.patchify(input), patchEmbedding);
    }

    private Tensor entered(LayerEntry entry, Step step, HostTensor latents) {
        Shape rows = Shape.of((long) latents.shape().dim(0) * step.grid().tokens(), config.dim());
        Shape got = entry.residual().shape();
        if (!got.equals(rows)) {
            throw WanException.mismatch("residual stream before layer " + entry.layer(), rows, got, "");
        }
        Tensor x = ops.scratch(rows);
        ops.write(x, entry.residual().values());
        return x;
    }

    private Tensor runLayers(
            HostTensor latents, Tensor e, Step step, Caches caches, int numLayers, PassObserver observer) {
        LayerEntry entry = observer.entry();
        Tensor x = entry == null ? embedPatches(latents) : entered(entry, step, latents);
        Tensor e0 = timeProjection(e);
        for (int i = entry == null ? 0 : entry.layer(); i < numLayers; i++) {
            layers.get(i)
                    .forward(
                            x,
                            e0,
                            step,
                            caches.frames().get(i),
                            caches.context().get(i),
                            caches.image().isEmpty() ? null : caches.image().get(i),
                            caches.workspace(),
                            observer);
        }
        return x;
    }
}
