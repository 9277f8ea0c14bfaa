package wan.edit;

import wan.op.HostTensor;
import wan.op.Site;
import wan.pass.PassId;

/** Recorded activations of a run, for patches. */
public interface Recording extends AutoCloseable {
    /** Whether a site was recorded. */
    boolean has(PassId pass, int layer, Site site);

    /**
     * What was recorded at a site.
     *
     * @return [B, Lq, N, d] of the recorded heads, or [B, Lq, dim] where channels belong to no head
     */
    HostTensor get(PassId pass, int layer, Site site);

    /** The recorded heads, ascending; empty where it does not say so, which means all. */
    int[] heads();

    /** As messages show it. */
    String name();

    @Override
    void close();
}
