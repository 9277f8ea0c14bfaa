package wan.op;

/**
 * Where a pass begins, if not with its first layer: the layers before are as in another run.
 *
 * @param layer the first layer that runs
 * @param residual the residual stream before it, [R, dim] with R = batch x tokens, as {@link Site#RESID} of the layer before gave it
 */
public record LayerEntry(int layer, HostTensor residual) {}
