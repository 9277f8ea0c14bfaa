package wan.backend;

import wan.op.Ops;

/** Tells a backend with several ways to compute which are correct and how fast they are. */
public interface DeviceCheck {
    /**
     * How long an operation takes.
     *
     * @param what the operation and its sizes
     */
    record Timing(String what, double seconds) {}

    /**
     * Why operations compute wrongly; empty if they do not.
     *
     * @param storage of the backend
     * @param prefix how their names begin; empty for all
     */
    String problem(Ops ops, Storage storage, String prefix);

    /** Measures an operation at the sizes of a model. */
    Timing time(Ops ops, String op);

    /** What a layer is that {@link HostSpeed} measures. */
    default HostSpeed.Layer layer() {
        return HostSpeed.Layer.OF_ONE_FRAME;
    }

    /** Where {@link HostSpeed} keeps what it measured. */
    default HostSpeed.Kept kept() {
        return HostSpeed.Kept.NOWHERE;
    }
}
