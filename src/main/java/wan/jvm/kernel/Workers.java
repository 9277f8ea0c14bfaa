package wan.jvm.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import wan.op.WanException;

/**
 * A fixed set of threads that share out numbered tasks; the calling thread is worker 0 and computes too.
 *
 * <p>Which worker gets which task is left to chance, so a task's result may depend on its number only.
 */
public final class Workers implements AutoCloseable {
    /** One piece of work. */
    @FunctionalInterface
    public interface Task {
        /**
         * @param task 0 to count - 1
         * @param worker 0 to threads - 1; no two tasks run at once with the same one
         */
        void run(int task, int worker);
    }

    /** One call of {@link #run}. */
    private static final class Job {
        final int count;
        final Task task;
        final AtomicInteger next = new AtomicInteger();
        int helpers; // guarded by the Workers' monitor

        @Nullable
        Throwable failure; // guarded by the Workers' monitor

        Job(int count, Task task) {
            this.count = count;
            this.task = task;
        }
    }

    private final int threads;
    private final List<Thread> helpers = new ArrayList<>();
    private @Nullable Job job;
    private boolean closed;

    public Workers(int threads) {
        this.threads = threads;
        try {
            for (int worker = 1; worker < threads; worker++) {
                int index = worker;
                helpers.add(Thread.ofPlatform()
                        .daemon()
                        .name("wan-worker-" + worker)
                        .start(() -> help(index)));
            }
        } catch (Throwable e) { // no more threads are to be had
            close();
            throw e;
        }
    }

    public int threads() {
        return threads;
    }

    /**
     * Runs tasks 0 to count - 1 and returns when all are done. What a task throws is thrown here, after the others stopped.
     */
    public void run(int count, Task task) {
        if (threads == 1 || count <= 1) {
            synchronized (this) {
                requireOpen();
            }
            for (int i = 0; i < count; i++) {
                task.run(i, 0);
            }
            return;
        }
        Job mine = new Job(count, task);
        synchronized (this) {
            requireOpen();
            if (job != null) {
                throw new IllegalStateException("the backend is used by two threads at once");
            }
            job = mine;
            notifyAll();
        }
        work(mine, 0);
        boolean interrupted = false;
        synchronized (this) {
            job = null;
            while (mine.helpers > 0) { // they write into our arrays: leaving early is not an option
                try {
                    wait();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        switch (mine.failure) {
            case null -> {}
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            case Throwable e -> throw new IllegalStateException(e);
        }
    }

    /** Runs {@code body} over [0, items) in ranges of at least {@code grain} items: for loops whose items are independent. */
    public void ranges(int items, int grain, Range body) {
        int count = Math.clamp(items / Math.max(1, grain), 1, 4 * threads);
        run(
                count,
                (task, _) -> body.run((int) ((long) items * task / count), (int) ((long) items * (task + 1) / count)));
    }

    /** A part of a loop. */
    @FunctionalInterface
    public interface Range {
        void run(int from, int to);
    }

    private void work(Job mine, int worker) {
        try {
            for (int i = mine.next.getAndIncrement(); i < mine.count; i = mine.next.getAndIncrement()) {
                mine.task.run(i, worker);
            }
        } catch (Throwable e) { // whatever it is, the caller must hear of it and the others must stop
            mine.next.set(mine.count);
            synchronized (this) {
                if (mine.failure == null) {
                    mine.failure = e;
                }
            }
        }
    }

    private void help(int worker) {
        Job mine = null;
        while (true) {
            synchronized (this) {
                if (mine != null && --mine.helpers == 0) {
                    notifyAll();
                }
                while (!closed && (job == null || job.next.get() >= job.count)) {
                    try {
                        wait();
                    } catch (InterruptedException e) {
                        // nobody else knows these threads; only close() ends them
                    }
                }
                if (closed) {
                    return;
                }
                mine = job;
                if (mine != null) {
                    mine.helpers++;
                }
            }
            if (mine != null) {
                work(mine, worker);
            }
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new WanException("the backend is closed");
        }
    }

    /** Ends the threads, once what they compute is done. */
    @Override
    public void close() {
        synchronized (this) {
            closed = true;
            notifyAll();
        }
        boolean interrupted = false;
        for (Thread helper : helpers) {
            while (helper.isAlive()) {
                try {
                    helper.join();
                } catch (InterruptedException e) {
                    interrupted = true; // they use memory that is freed next: leaving early is not an option
                }
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
