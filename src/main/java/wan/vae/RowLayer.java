package wan.vae;

/** A layer of convolutions of single frames: a row of its result needs only some rows of what comes in. */
@FunctionalInterface
non-sealed interface RowLayer extends Part {
    /**
     * Adds what the layer computes to a plan.
     *
     * @param x what comes in; may be overwritten
     * @return what the layer gives
     */
    BandPlan.Frame plan(BandPlan plan, BandPlan.Frame x);
}
