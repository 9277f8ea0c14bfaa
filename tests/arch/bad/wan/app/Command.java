package arch.bad.wan.app;

import arch.bad.wan.model.Layer;

/** One half of a cycle. */
public final class Command {
    /** Uses the model, as it may. */
    public Layer layer() {
        return new Layer();
    }
}
