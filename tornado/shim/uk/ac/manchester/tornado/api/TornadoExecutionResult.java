package uk.ac.manchester.tornado.api;

/** What came of an execution. */
public class TornadoExecutionResult {
    private final java.util.function.Consumer<Object> toHost;

    TornadoExecutionResult(java.util.function.Consumer<Object> toHost) {
        this.toHost = toHost;
    }

    /** Copies arrays that were marked UNDER_DEMAND to the host. */
    public TornadoExecutionResult transferToHost(Object... objects) {
        for (Object object : objects) {
            toHost.accept(object);
        }
        return this;
    }
}
