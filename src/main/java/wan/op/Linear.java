package wan.op;

/**
 * The parameters of y = x W^T + b, in whatever form the backend computes with (packed, widened, on the device).
 *
 * <p>Made by {@link Ops#linearWeights}.
 */
public interface Linear {
    /** Features of a row of x. */
    int inFeatures();

    /** Features of a row of y. */
    int outFeatures();
}
