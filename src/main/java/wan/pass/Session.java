package wan.pass;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.model.Caches;
import wan.model.Step;
import wan.model.WanModel;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.HostTensor;
import wan.op.KvTensor;
import wan.op.NonFiniteException;
import wan.op.PassObserver;
import wan.op.Shape;
import wan.op.WanException;

/**
 * A model with the caches of one run: prompts in, then one pass after the other.
 *
 * <p>Close it to free the caches; the model stays. Not thread-safe.
 */
public final class Session implements AutoCloseable {
    private final WanModel model;
    private final int batch;
    private final int rows;
    private final int columns;
    private final Caches caches;
    private final Dyn startFrame = new Dyn("startFrame", 1);
    private final Dyn written;
    private final Dyn attended;

    /**
     * Embeds the prompts and makes empty caches.
     *
     * @param promptEmbeds [B, textLen, textDim], zero after each prompt's end; B is the session's batch
     * @param latentHeight even
     * @param latentWidth even
     * @param capacityFrames frames that the caches hold
     * @param numLayers the most layers that any pass will run
     */
    public Session(
            WanModel model,
            HostTensor promptEmbeds,
            int latentHeight,
            int latentWidth,
            int capacityFrames,
            int numLayers) {
        this.model = model;
        this.batch = promptEmbeds.shape().dim(0);
        this.rows = latentHeight / 2;
        this.columns = latentWidth / 2;
        this.written = new Dyn("written", capacityFrames);
        this.attended = new Dyn("attended", capacityFrames);
        List<KvTensor> frames = new ArrayList<>();
        this.caches = new Caches(frames, model.encodeContext(promptEmbeds, numLayers));
        try {
            for (int i = 0; i < numLayers; i++) {
                frames.add(model.newFrameCache(batch, capacityFrames, rows * columns));
            }
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /**
     * Runs one pass.
     *
     * @param latents noisy latents, [B, pass.frames(), inDim, H, W]
     * @return the predicted flow, shaped as the latents; null if the pass does not need it
     * @throws WanException if the latents' shape is another
     * @throws NonFiniteException if something overflowed; names the pass
     */
    public @Nullable HostTensor run(Pass pass, HostTensor latents, PassObserver observer) {
        Shape expected = Shape.of(batch, pass.frames(), model.config().inDim(), 2L * rows, 2L * columns);
        if (!latents.shape().equals(expected)) {
            throw WanException.mismatch("latents of " + pass.id(), expected, latents.shape(), "");
        }
        startFrame.set(pass.firstFrame());
        written.set(ints(pass.placement().written()));
        attended.set(ints(pass.placement().attended()));
        Step step = new Step(new Grid(pass.frames(), rows, columns), startFrame, written, attended);
        float[] timesteps = new float[batch * pass.frames()];
        Arrays.fill(timesteps, pass.timestep());
        try {
            if (pass.flow()) {
                return finite(model.forward(latents, timesteps, step, caches, observer));
            }
            model.forwardLayers(latents, timesteps, step, caches, pass.numLayers(), observer);
            return null;
        } catch (NonFiniteException e) {
            throw e.in(pass.id().label());
        }
    }

    private static HostTensor finite(HostTensor flow) {
        int bad = 0;
        for (float value : flow.values()) {
            bad += Float.isFinite(value) ? 0 : 1;
        }
        if (bad > 0) {
            throw new NonFiniteException("flow " + flow.shape() + ": expected finite numbers, got " + bad
                    + " that are not; are the weights and the latents?");
        }
        return flow;
    }

    /** Samples that run side by side. */
    public int batch() {
        return batch;
    }

    /** The model that runs. */
    public WanModel model() {
        return model;
    }

    /** The cached keys of one layer, rotated, at the given pages: [B, pages * S, N, d]. */
    public HostTensor keys(int layer, List<Integer> pages) {
        return cached(layer, 0, pages);
    }

    /** The cached values of one layer at the given pages: [B, pages * S, N, d]. */
    public HostTensor values(int layer, List<Integer> pages) {
        return cached(layer, 1, pages);
    }

    private HostTensor cached(int layer, int which, List<Integer> pages) {
        Shape shape = Shape.of(
                batch,
                (long) pages.size() * rows * columns,
                model.config().numHeads(),
                model.config().headDim());
        return new HostTensor(shape, model.ops().read(caches.frames().get(layer), which, ints(pages)));
    }

    private static int[] ints(List<Integer> values) {
        return values.stream().mapToInt(Integer::intValue).toArray();
    }

    @Override
    public void close() {
        caches.frames().forEach(model.ops()::release);
        caches.context().forEach(model.ops()::release);
    }
}
