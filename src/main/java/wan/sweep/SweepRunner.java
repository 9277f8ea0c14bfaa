package wan.sweep;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;
import wan.op.WanException;
import wan.run.RunSpec;
import wan.run.Wan;

/**
 * Executes a sweep: first its own part, then what is left of the other parts. The model is opened once, its weights are packed once, and
 * runs with the same prompt follow each other. Any number of processes may work on one folder, and each may end at any instant.
 */
public final class SweepRunner {
    private static final long REFRESH_NANOS = 30_000_000_000L;
    private static final long POLL_MILLIS = 1000;

    private final SweepFolder folder;
    private final Options options;
    private final SweepListener listener;
    private final Set<String> done;
    private final Map<String, RunRecord> failed;
    private final Map<RunSpec.Model, String> problems = new LinkedHashMap<>();
    private final List<SweepRun> own;
    private final List<SweepRun> order;
    private @Nullable Wan wan;
    private RunSpec.@Nullable Model open;
    private long refreshed = System.nanoTime();

    /**
     * How the sweep is executed. The results do not depend on it.
     *
     * @param shard the part to start with
     * @param retries how often a failed run is tried again, counted over all processes
     * @param threads number of computing threads; null for the runs' own setting
     */
    public record Options(
            Shard shard, int retries, @Nullable Integer threads) {}

    /**
     * How the execution ended.
     *
     * @param counts progress of the whole sweep
     * @param interrupted whether the listener cancelled it
     * @param problems models that this process could not open, and why
     */
    public record Outcome(SweepListener.Counts counts, boolean interrupted, List<String> problems) {
        /** Copies the list. */
        public Outcome {
            problems = List.copyOf(problems);
        }
    }

    /** Reads the state of the folder; runs nothing yet. */
    public SweepRunner(SweepFolder folder, Options options, SweepListener listener) {
        this.folder = folder;
        this.options = options;
        this.listener = listener;
        this.order = SweepRun.grouped(folder.runs());
        this.own = options.shard().own(order);
        this.done = folder.done();
        this.failed = folder.state().failed();
    }

    /**
     * Runs until nothing is left, or until all remaining runs are being computed by other live processes.
     *
     * @throws WanException if the folder cannot be written to, so that every run would fail
     */
    public Outcome execute() {
        boolean interrupted = false;
        listener.began(counts());
        try (Worker worker = new Worker(folder)) {
            try {
                boolean _ = work(worker, own);
                boolean _ = work(worker, order.reversed()); // the owners of the others begin at the other end
                while (work(worker, order)) {
                    Thread.sleep(POLL_MILLIS);
                    refresh();
                }
                done.addAll(folder.done());
                if (counts().left() == 0) {
                    worker.removeDead();
                }
            } catch (CancellationException e) {
                interrupted = true;
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                interrupted = true;
            }
        } finally {
            close();
        }
        return new Outcome(counts(), interrupted, List.copyOf(problems.values()));
    }

    /** Goes through some runs; true if other processes have claimed some of them and it is not yet known whether these are alive. */
    private boolean work(Worker worker, List<SweepRun> runs) {
        boolean unsure = false;
        for (SweepRun run : runs) {
            if (isOver(run) || problems.containsKey(run.spec().model())) {
                continue;
            }
            if (listener.cancelled()) {
                throw new CancellationException("stopped");
            }
            if (Files.exists(folder.result(run.id()))) {
                done.add(run.id());
            } else if (!worker.take(run.id())) {
                unsure |= worker.mayBeDead(run.id());
            } else if (Files.exists(folder.result(run.id()))) {
                settle(worker, run);
            } else {
                attempt(worker, run);
            }
        }
        return unsure;
    }

    private boolean isOver(SweepRun run) {
        RunRecord record = failed.get(run.id());
        return done.contains(run.id()) || (record != null && record.attempts() > options.retries());
    }

    private void settle(Worker worker, SweepRun run) {
        done.add(run.id());
        worker.forget(run.id());
        worker.release(run.id());
    }

    private void attempt(Worker worker, SweepRun run) {
        Wan opened = open(run);
        if (opened == null) {
            worker.release(run.id());
            return;
        }
        RunRecord before = failed.get(run.id());
        RunRecord how = new Attempts(new Place(worker), options.retries(), options.threads(), listener)
                .run(opened, run, before == null ? 0 : before.attempts());
        if (how == null) {
            settle(worker, run);
        } else if (how.error() == null) {
            settle(worker, run);
            failed.remove(run.id());
            refresh();
            listener.runDone(run, how.seconds(), counts());
        } else {
            worker.forget(run.id());
            worker.release(run.id());
        }
    }

    /** The worker's own folder, and the sweep's. */
    private final class Place implements Attempts.Place {
        private final Worker worker;

        Place(Worker worker) {
            this.worker = worker;
        }

        @Override
        public Path home() {
            return worker.home();
        }

        @Override
        public String worker() {
            return worker.name();
        }

        @Override
        public boolean isDone(String id) {
            return Files.exists(folder.result(id));
        }

        @Override
        public void publish(SweepRun run) {
            if (run.spec().output().latents() != null) {
                worker.publish(home().resolve(Attempts.latents(run.id())), folder.latents(run.id()));
            }
            worker.publish(home().resolve(Attempts.result(run.id())), folder.result(run.id()));
        }

        @Override
        public void record(SweepRun run, RunRecord how) {
            folder.state().record(run.id(), how);
        }

        @Override
        public void failed(SweepRun run, RunRecord how, boolean again) {
            failed.put(run.id(), how);
            listener.runFailed(run, String.valueOf(how.error()), again, counts());
        }
    }

    /** The model of a run, opened unless it is open already; null if it cannot be opened here. */
    private @Nullable Wan open(SweepRun run) {
        RunSpec.Model model = run.spec().model();
        if (wan != null && model.equals(open)) {
            return wan;
        }
        close();
        try {
            Wan opened = Wan.open(model, listener);
            wan = opened;
            open = model;
            encodePrompts(opened, model);
            return opened;
        } catch (WanException e) {
            // Perhaps only here: another machine may have it, and what it has not tried it has not failed at.
            problems.put(model, String.valueOf(e.getMessage()));
            listener.notice(String.valueOf(e.getMessage()));
            close();
            return null;
        }
    }

    private void encodePrompts(Wan opened, RunSpec.Model model) {
        try {
            opened.encodePrompts(
                    own.stream()
                            .filter(each -> each.spec().model().equals(model) && !isOver(each))
                            .map(SweepRun::spec)
                            .toList(),
                    listener);
        } catch (WanException e) {
            listener.notice(String.valueOf(e.getMessage())); // each run will say it of its own prompt
        }
    }

    private void close() {
        Wan last = wan;
        wan = null;
        open = null;
        if (last != null) {
            last.close();
        }
    }

    private void refresh() {
        if (System.nanoTime() - refreshed > REFRESH_NANOS && options.shard().count() > 1) {
            refreshed = System.nanoTime();
            done.addAll(folder.done());
        }
    }

    private SweepListener.Counts counts() {
        int all = 0;
        int bad = 0;
        for (SweepRun run : order) {
            all += done.contains(run.id()) ? 1 : 0;
            bad += !done.contains(run.id()) && isOver(run) ? 1 : 0;
        }
        int left = (int) own.stream().filter(run -> !isOver(run)).count();
        return new SweepListener.Counts(order.size(), all, bad, left);
    }
}
