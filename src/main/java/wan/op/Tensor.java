package wan.op;

/**
 * A handle to float32 values that a backend holds; only that backend can look inside ({@link Ops#read}).
 *
 * <p>Either scratch, which dies with the {@link Scope} it was made in, or a parameter or cache, which lives as long as the
 * backend.
 */
public interface Tensor {
    /** Extents, outermost first. */
    Shape shape();
}
