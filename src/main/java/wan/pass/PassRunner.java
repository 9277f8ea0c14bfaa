package wan.pass;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import wan.cache.CacheLayout;
import wan.cache.Placement;
import wan.model.Caches;
import wan.model.Step;
import wan.model.WanModel;
import wan.op.CachePart;
import wan.op.DeviceException;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.HostTensor;
import wan.op.KvTensor;
import wan.op.NonFiniteException;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;

/**
 * Runs the passes of one run, in order, on a model with the run's caches and contexts.
 *
 * <p>Close it to free the caches; the model stays. Not thread-safe.
 */
public final class PassRunner implements AutoCloseable {
    private final List<WanModel> models;
    private final List<Context> contexts;
    private final int batch;
    private final int rows;
    private final int columns;
    private final int numLayers;
    private final List<Cache> caches = new ArrayList<>();
    private final Map<Conditions, Encoded> encoded = new HashMap<>();

    /** A context and the model that attends to it. */
    private record Conditions(int context, int expert) {}

    /** What a model attends to of a context, one entry per layer. */
    private record Encoded(List<KvTensor> text, List<KvTensor> image) {
        void release(Ops ops) {
            text.forEach(ops::release);
            image.forEach(ops::release);
        }
    }

    /** One cache of the run. */
    private record Cache(
            CacheLayout layout,
            List<KvTensor> layers,
            @Nullable KvTensor workspace,
            Dyn positions,
            Dyn written,
            Dyn attended,
            Dyn keyPositions,
            Dyn copies,
            Dyn own,
            Dyn side) {
        static Cache of(CacheLayout layout, List<KvTensor> layers, @Nullable KvTensor workspace) {
            int most = Math.max(layout.frames(), layout.workspaceFrames());
            return new Cache(
                    layout,
                    layers,
                    workspace,
                    new Dyn("positions", most),
                    new Dyn("written", most),
                    new Dyn("attended", most),
                    new Dyn("key positions", most),
                    new Dyn("copies", most),
                    new Dyn("own", most),
                    new Dyn("side", most));
        }
    }

    /**
     * Makes empty caches.
     *
     * @param models which the passes name by number; of the same sizes
     * @param contexts what the passes name by number; each is encoded when it is used first
     * @param latentHeight even
     * @param latentWidth even
     * @param layouts the caches, which the passes name by number
     * @param numLayers the most layers that any pass will run
     */
    public PassRunner(
            List<WanModel> models,
            List<Context> contexts,
            int latentHeight,
            int latentWidth,
            List<CacheLayout> layouts,
            int numLayers) {
        this.models = List.copyOf(models);
        this.contexts = List.copyOf(contexts);
        this.batch = contexts.getFirst().text().shape().dim(0);
        this.rows = latentHeight / 2;
        this.columns = latentWidth / 2;
        this.numLayers = numLayers;
        try {
            for (CacheLayout layout : layouts) {
                caches.add(cache(layout));
            }
        } catch (Throwable e) {
            close();
            throw e;
        }
    }

    private Cache cache(CacheLayout layout) {
        List<KvTensor> layers = new ArrayList<>();
        try {
            if (!layout.perLayer()) {
                layers.addAll(Collections.nCopies(numLayers, newCache(layout.frames())));
            }
            while (layers.size() < numLayers) {
                layers.add(newCache(layout.frames()));
            }
            @Nullable KvTensor workspace = layout.workspaceFrames() == 0 ? null : newCache(layout.workspaceFrames());
            return Cache.of(layout, layers, workspace);
        } catch (Throwable e) {
            layers.stream().distinct().forEach(ops()::release);
            throw e;
        }
    }

    private KvTensor newCache(int frames) {
        return model().newFrameCache(batch, frames, rows * columns);
    }

    /**
     * Runs one pass.
     *
     * @param latents noisy latents, [B, pass.frames(), inDim, H, W]
     * @return the predicted flow, [B, pass.frames(), outDim, H, W]; null if the pass does not need it
     * @throws WanException if the latents' shape is another
     * @throws NonFiniteException if the result or a captured value is not finite; names the pass
     */
    public @Nullable HostTensor run(Pass pass, HostTensor latents, PassObserver observer) {
        Shape expected = Shape.of(batch, pass.frames(), model().config().inDim(), 2L * rows, 2L * columns);
        if (!latents.shape().equals(expected)) {
            throw WanException.mismatch("latents of " + pass.id(), expected, latents.shape(), "");
        }
        int layers = pass.flow() ? models.get(pass.expert()).config().numLayers() : pass.numLayers();
        if (layers > numLayers) {
            throw WanException.mismatch(
                    "pass " + pass.id(), "at most the " + numLayers + " layers that there are caches of", layers, "");
        }
        blank(caches.get(pass.cache()), pass.placement());
        if (pass.causalFrames() > 0) {
            return runGroups(pass, latents, observer);
        }
        try {
            WanModel model = models.get(pass.expert());
            Cache cache = caches.get(pass.cache());
            Encoded context = context(pass);
            Caches kept = new Caches(cache.layers(), context.text(), context.image(), cache.workspace());
            Step step = step(pass, cache);
            float[] timesteps = new float[batch * pass.frames()];
            for (int i = 0; i < timesteps.length; i++) {
                timesteps[i] = pass.timesteps().get(i % pass.frames());
            }
            if (pass.flow()) {
                HostTensor flow = model.forward(latents, timesteps, step, kept, observer);
                return observer.keepsNonFinite() ? flow : flow.requireFinite("flow");
            }
            model.forwardLayers(latents, timesteps, step, kept, layers, observer);
            return null;
        } catch (NonFiniteException e) {
            throw e.in(pass.id().label());
        } catch (DeviceException e) {
            throw e.in(pass.id().label());
        }
    }

    private @Nullable HostTensor runGroups(Pass pass, HostTensor latents, PassObserver observer) {
        GroupedObserver whole = new GroupedObserver(observer, pass.frames(), rows * columns);
        @Nullable HostTensor flow = null;
        for (int group = 0; group < pass.groups(); group++) {
            Pass part = pass.group(group);
            int first = group * pass.causalFrames();
            HostTensor partFlow = run(part, latents.frames(first, part.frames()), whole.group(first, part));
            if (partFlow != null) {
                long[] dims = partFlow.shape().dims();
                dims[1] = pass.frames();
                flow = flow == null ? HostTensor.zeros(Shape.of(dims)) : flow;
                flow.setFrames(first, partFlow);
            }
        }
        return flow;
    }

    private Step step(Pass pass, Cache cache) {
        Placement placement = pass.placement();
        cache.positions().set(ints(placement.queryPositions()));
        cache.written().set(ints(placement.written()));
        cache.attended().set(ints(placement.attended()));
        Grid grid = new Grid(pass.frames(), rows, columns);
        if (cache.workspace() == null) {
            return new Step(grid, cache.positions(), cache.written(), cache.attended());
        }
        int cached = placement.attended().size();
        int[] own = new int[pass.frames()];
        for (int i = 0; i < own.length; i++) {
            int place = placement.own().indexOf(i);
            own[i] = place < 0 ? -1 : cached + place;
        }
        cache.keyPositions().set(ints(placement.keyPositions().subList(0, cached)));
        cache.copies().set(IntStream.range(0, cached).toArray());
        cache.own().set(own);
        cache.side().set(IntStream.range(0, placement.keys()).toArray());
        Step.Turn turn = new Step.Turn(
                new Grid(cached, rows, columns), cache.keyPositions(), cache.copies(), cache.own(), cache.side());
        return new Step(grid, cache.positions(), cache.written(), cache.attended(), turn);
    }

    /** Fills pages with zeros. */
    private void blank(Cache cache, Placement placement) {
        if (placement.blank().isEmpty()) {
            return;
        }
        Dyn page = new Dyn("blank", 1);
        Shape shape = Shape.of((long) batch * rows * columns, model().config().dim());
        try (Scope _ = ops().scope()) {
            Tensor zeros = ops().scratch(shape);
            ops().write(zeros, new float[shape.intSize()]);
            for (int blank : placement.blank()) {
                page.set(blank);
                for (KvTensor layer : cache.layers()) {
                    ops().append(layer, zeros, zeros, page);
                }
            }
        }
    }

    /** What is attended of the pass's context, until it is {@link #forget forgotten}. */
    private Encoded context(Pass pass) {
        Conditions key = new Conditions(pass.context(), pass.expert());
        Encoded layers = encoded.get(key);
        if (layers == null) {
            WanModel model = models.get(pass.expert());
            Context context = contexts.get(pass.context());
            List<KvTensor> text = model.encodeContext(context.text(), numLayers);
            HostTensor image = context.image();
            layers = new Encoded(text, image == null ? List.of() : model.encodeImage(image, numLayers));
            encoded.put(key, layers);
        }
        return layers;
    }

    /** Frees what is attended of a context that no further pass uses. */
    public void forget(int context) {
        for (Conditions key : List.copyOf(encoded.keySet())) {
            if (key.context() == context) {
                Objects.requireNonNull(encoded.remove(key)).release(ops());
            }
        }
    }

    /** Samples that run side by side. */
    public int batch() {
        return batch;
    }

    /** The model that runs; of two experts, that of low noise. */
    public WanModel model() {
        return models.getFirst();
    }

    private Ops ops() {
        return model().ops();
    }

    /** The cached keys of one layer as they are kept, rotated or not, at the given pages: [B, pages * S, N, d]. */
    public HostTensor keys(int cache, int layer, List<Integer> pages) {
        return cached(cache, layer, CachePart.KEYS, pages);
    }

    /** The cached values of one layer at the given pages: [B, pages * S, N, d]. */
    public HostTensor values(int cache, int layer, List<Integer> pages) {
        return cached(cache, layer, CachePart.VALUES, pages);
    }

    private HostTensor cached(int cache, int layer, CachePart part, List<Integer> pages) {
        Shape shape = Shape.of(
                batch,
                (long) pages.size() * rows * columns,
                model().config().numHeads(),
                model().config().headDim());
        return new HostTensor(shape, ops().readPages(caches.get(cache).layers().get(layer), part, ints(pages)));
    }

    /**
     * Copies pages of a cache to the host.
     *
     * @param pages of the cache's layers {@code from} to before {@code end}
     */
    public SavedPages save(int cache, List<Integer> pages, int from, int end) {
        List<float[][]> values = new ArrayList<>();
        for (int layer = from; layer < end; layer++) {
            for (int page : pages) {
                KvTensor kept = caches.get(cache).layers().get(layer);
                values.add(new float[][] {
                    ops().readPages(kept, CachePart.KEYS, new int[] {page}),
                    ops().readPages(kept, CachePart.VALUES, new int[] {page})
                });
            }
        }
        return new SavedPages(cache, List.copyOf(pages), from, end, values);
    }

    /** Puts pages back as they were. */
    public void restore(SavedPages saved) {
        Dyn page = new Dyn("restored", 1);
        Shape shape = Shape.of((long) batch * rows * columns, model().config().dim());
        int next = 0;
        for (int layer = saved.from(); layer < saved.end(); layer++) {
            for (int each : saved.pages()) {
                float[][] values = saved.values().get(next++);
                try (Scope _ = ops().scope()) {
                    Tensor k = ops().scratch(shape);
                    ops().write(k, values[0]);
                    Tensor v = ops().scratch(shape);
                    ops().write(v, values[1]);
                    page.set(each);
                    ops().append(caches.get(saved.cache()).layers().get(layer), k, v, page);
                }
            }
        }
    }

    private static int[] ints(List<Integer> values) {
        return values.stream().mapToInt(Integer::intValue).toArray();
    }

    @Override
    public void close() {
        for (Cache cache : caches) {
            cache.layers().stream().distinct().forEach(ops()::release);
            if (cache.workspace() != null) {
                ops().release(cache.workspace());
            }
        }
        caches.clear();
        encoded.values().forEach(layers -> layers.release(ops()));
        encoded.clear();
    }
}
