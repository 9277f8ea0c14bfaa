package wan.vae;

import java.util.List;
import org.jspecify.annotations.Nullable;
import wan.op.FrameOps;
import wan.op.Tensor;

/** Neighbouring layers, computed together in bands of rows. */
final class RowLayers implements Stage {
    private final FrameOps ops;
    private final List<RowLayer> layers;
    private final int pixels;
    private @Nullable BandPlan plan;
    private BandPlan.@Nullable Frame result;

    /** @param pixels of a frame that should be computed at once, at least */
    RowLayers(FrameOps ops, List<RowLayer> layers, int pixels) {
        this.ops = ops;
        this.layers = List.copyOf(layers);
        this.pixels = pixels;
    }

    @Override
    public void push(Tensor x, Next next) {
        if (plan == null || result == null) {
            plan = new BandPlan(x.shape());
            result = plan.given();
            for (RowLayer layer : layers) {
                result = layer.plan(plan, result);
            }
            plan.finish(ops, result, pixels);
        }
        plan.run(x);
        next.accept(BandPlan.tensor(result));
    }
}
