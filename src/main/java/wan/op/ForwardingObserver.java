package wan.op;

import org.jspecify.annotations.Nullable;

/** Forwards everything to another observer; subclasses override single methods. */
public class ForwardingObserver implements PassObserver {
    private final PassObserver own;

    /** Passes on to {@code own}. */
    public ForwardingObserver(PassObserver own) {
        this.own = own;
    }

    @Override
    public AttentionTap tap(int layer, AttentionKind kind) {
        return own.tap(layer, kind);
    }

    @Override
    public AttentionEdit edit(int layer, AttentionKind kind) {
        return own.edit(layer, kind);
    }

    @Override
    public void begin(int layer, KvTensor cache, Ops ops) {
        own.begin(layer, cache, ops);
    }

    @Override
    public @Nullable LayerEntry entry() {
        return own.entry();
    }

    @Override
    public boolean looksAt(int layer, Site site) {
        return own.looksAt(layer, site);
    }

    @Override
    public boolean changes(int layer, Site site) {
        return own.changes(layer, site);
    }

    @Override
    public void visit(int layer, Site site, Tensor x, Ops ops) {
        own.visit(layer, site, x, ops);
    }

    @Override
    public boolean keepsNonFinite() {
        return own.keepsNonFinite();
    }

    @Override
    public void layerDone(int layer) {
        own.layerDone(layer);
    }
}
