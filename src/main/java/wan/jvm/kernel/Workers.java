package wan.jvm.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.jspecify.annotations.Nullable;
import wan.op.WanException;

/**
 * A fixed set of threads that share out numbered tasks; the calling thread is worker 0 and computes too.
 *
 * <p>Each worker has its own share of neighbouring tasks, the same one whenever there are as many of them, and helps others once that is done. So
 * what it reads again and again stays in its caches and in the memory beside its core; but who computes what is in the end left to chance, so a
 * task's result may depend on its number only.
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
        /** Between two workers' counters, so that each has a cache line of its own. */
        private static final int STRIDE = 16;

        final int count;
        final int threads;
        final boolean helping;
        final Task task;
        /** By worker: how many tasks of its share are taken. */
        final AtomicIntegerArray taken;

        /** Whether no task is left to take. */
        volatile boolean over;

        int helpers; // guarded by the Workers' monitor
        int joined; // guarded by the Workers' monitor

        @Nullable
        Throwable failure; // guarded by the Workers' monitor

        Job(int count, int threads, boolean helping, Task task) {
            this.count = count;
            this.threads = threads;
            this.helping = helping;
            this.task = task;
            taken = new AtomicIntegerArray(threads * STRIDE);
        }

        /** Takes a task of the worker's own share, else of another's; -1 if none is left. */
        int take(int worker) {
            for (int i = 0; !over && i < (helping ? threads : 1); i++) {
                int owner = (worker + i) % threads;
                int first = TaskPlan.firstTask(count, owner, threads);
                int size = TaskPlan.firstTask(count, owner + 1, threads) - first;
                if (taken.get(owner * STRIDE) < size) {
                    int mine = taken.getAndIncrement(owner * STRIDE);
                    if (mine < size) {
                        return first + mine;
                    }
                }
            }
            over |= helping;
            return -1;
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
        run(count, true, task);
    }

    /**
     * Runs the pieces of a plan's tasks.
     */
    public void run(TaskPlan plan, Piece piece) {
        run(plan.tasks(), (task, worker) -> plan.pieces(task, (plane, from, to) -> piece.run(plane, from, to, worker)));
    }

    /** A piece of a plan and who computes it. */
    @FunctionalInterface
    public interface Piece {
        /** Units {@code from} to {@code to} of a plane; no two pieces run at once with the same worker. */
        void run(int plane, int from, int to, int worker);
    }

    /**
     * Runs each worker's share of tasks 0 to count - 1 on that worker, whatever others do: memory that it touches first lies beside its core.
     */
    public void runAtHome(int count, Task task) {
        run(count, false, task);
    }

    private void run(int count, boolean helping, Task task) {
        if (threads == 1 || (helping && count <= 1)) {
            synchronized (this) {
                requireOpen();
            }
            for (int i = 0; i < count; i++) {
                task.run(i, 0);
            }
            return;
        }
        Job mine = new Job(count, threads, helping, task);
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
            if (helping) {
                job = null; // who has not come yet is not needed
            }
            // They write into our arrays: leaving early is not an option.
            while (mine.helpers > 0 || (!helping && !mine.over && mine.joined < threads - 1)) {
                try {
                    wait();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
            job = null;
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
        run(TaskPlan.loop(items, grain, threads), (_, from, to, _) -> body.run(from, to));
    }

    /** A part of a loop. */
    @FunctionalInterface
    public interface Range {
        void run(int from, int to);
    }

    private void work(Job mine, int worker) {
        try {
            for (int i = mine.take(worker); i >= 0; i = mine.take(worker)) {
                mine.task.run(i, worker);
            }
        } catch (Throwable e) { // whatever it is, the caller must hear of it and the others must stop
            mine.over = true;
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
                while (!closed && (job == null || job.over || job == mine)) {
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
                    mine.joined++;
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
