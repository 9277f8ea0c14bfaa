package wan.app.terminal;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;

/**
 * Lets Ctrl-C or SIGTERM end a long run at the next opportunity, and holds the JVM's exit until what was done so far is saved.
 *
 * <p>A flag and not an interrupt: interrupting a thread would close the file that it writes to.
 */
public final class Cancellation implements AutoCloseable {
    private static final Set<Cancellation> OPEN = ConcurrentHashMap.newKeySet();

    private final CountDownLatch finished = new CountDownLatch(1);
    private final Thread hook = new Thread(this::stop, "cancel");
    private volatile boolean requested;

    public Cancellation() {
        OPEN.add(this);
        Runtime.getRuntime().addShutdownHook(hook);
    }

    private void stop() {
        requested = true;
        try {
            finished.await(); // writing what was captured may take minutes; SIGKILL remains
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Waits until all that is to be saved is. */
    public static void awaitAll() throws InterruptedException {
        for (Cancellation open : OPEN) {
            open.finished.await();
        }
    }

    /** Whether the user asked to stop. */
    public boolean requested() {
        return requested;
    }

    /** Everything is saved: the JVM may exit. */
    @Override
    public void close() {
        finished.countDown();
        OPEN.remove(this);
        try {
            boolean _ = Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            // The JVM is going down, and the hook with it.
        }
    }
}
