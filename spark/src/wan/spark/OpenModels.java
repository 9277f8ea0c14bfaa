package wan.spark;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.concurrent.CancellationException;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import wan.op.WanException;
import wan.run.RunMonitor;
import wan.run.RunSpec;
import wan.run.Wan;

/** The models that an executor keeps open from run to run, one for each run that it has at once. */
final class OpenModels {
    /** Those of this JVM. */
    static final OpenModels OF_THIS_EXECUTOR = new OpenModels();

    private static final long POLL_MILLIS = 200;

    private final Deque<Open> idle = new ArrayDeque<>();
    private int used;

    private record Open(RunSpec.Model model, Wan wan) {}

    private OpenModels() {}

    /** A model in use by one run. */
    final class Lease implements AutoCloseable {
        private final Open open;

        private Lease(Open open) {
            this.open = open;
        }

        Wan wan() {
            return open.wan();
        }

        @Override
        public void close() {
            release(open);
        }
    }

    /**
     * Waits for its turn, and opens the model if no one has done so.
     *
     * @param most runs at once
     * @param cancelled whether to wait no longer
     * @throws ModelProblem if it cannot be opened here
     */
    Lease take(RunSpec.Model model, int most, BooleanSupplier cancelled, RunMonitor monitor) {
        Open open = takeTurn(model, most, cancelled);
        if (open != null) {
            return new Lease(open);
        }
        try {
            return new Lease(new Open(model, Wan.open(model, monitor)));
        } catch (WanException e) {
            release(null);
            throw new ModelProblem(String.valueOf(e.getMessage()));
        } catch (RuntimeException | Error e) {
            release(null);
            throw e;
        }
    }

    /** One that is open, or null for a turn without. */
    private synchronized @Nullable Open takeTurn(RunSpec.Model model, int most, BooleanSupplier cancelled) {
        try {
            while (used >= most) {
                if (cancelled.getAsBoolean()) {
                    throw new CancellationException("stopped");
                }
                wait(POLL_MILLIS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CancellationException("stopped");
        }
        used++;
        for (Iterator<Open> all = idle.iterator(); all.hasNext(); ) {
            Open each = all.next();
            if (each.model().equals(model)) {
                all.remove();
                return each;
            }
        }
        while (used + idle.size() > most) {
            idle.removeLast().wan().close();
        }
        return null;
    }

    private synchronized void release(@Nullable Open open) {
        used--;
        if (open != null) {
            idle.addFirst(open);
        }
        notifyAll();
    }
}
