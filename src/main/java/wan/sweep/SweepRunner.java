package wan.sweep;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;
import wan.op.WanException;
import wan.pass.Pass;
import wan.run.Job;
import wan.run.Leftovers;
import wan.run.RunMonitor;
import wan.run.RunResult;
import wan.run.RunSpec;
import wan.run.Wan;

/**
 * Carries a sweep out: first its own part, then what is left of the others'. The model is opened once, and its weights are packed once; runs of one
 * prompt follow each other. Any number of these may be at one folder, and may end at any instant.
 */
public final class SweepRunner {
    private static final long REFRESH_NANOS = 30_000_000_000L;
    private static final long POLL_MILLIS = 1000;

    private final SweepFolder folder;
    private final Options options;
    private final SweepListener listener;
    private final Set<String> done;
    private final Map<String, RunRecord> failed = new HashMap<>();
    private final Map<RunSpec.Model, String> problems = new LinkedHashMap<>();
    private final List<SweepRun> own;
    private final List<SweepRun> order;
    private @Nullable Wan wan;
    private RunSpec.@Nullable Model open;
    private long refreshed = System.nanoTime();

    /**
     * How it is carried out; the results are the same.
     *
     * @param shard what it begins with
     * @param retries how often a run that failed is tried again, by whomever
     * @param threads that compute; null for what the runs say
     */
    public record Options(
            Shard shard, int retries, @Nullable Integer threads) {}

    /**
     * How it ended.
     *
     * @param counts of the whole sweep
     * @param interrupted whether the listener ended it
     * @param problems models that could not be opened here, and why
     */
    public record Outcome(SweepListener.Counts counts, boolean interrupted, List<String> problems) {
        /** Copies the list. */
        public Outcome {
            problems = List.copyOf(problems);
        }
    }

    /** Looks at what is there; runs nothing yet. */
    public SweepRunner(SweepFolder folder, Options options, SweepListener listener) {
        this.folder = folder;
        this.options = options;
        this.listener = listener;
        this.order = grouped(folder.runs());
        this.own = options.shard().own(order);
        this.done = folder.done();
        Set<String> recorded = folder.recorded();
        recorded.removeAll(done);
        for (String id : recorded) {
            RunRecord record = folder.how(id);
            if (record != null && record.error() != null) {
                failed.put(id, record);
            }
        }
    }

    /** Runs of one model together, and of these runs of one prompt; else in their own order. */
    private static List<SweepRun> grouped(List<SweepRun> runs) {
        Map<Object, Map<Object, List<SweepRun>>> groups = new LinkedHashMap<>();
        for (SweepRun run : runs) {
            groups.computeIfAbsent(List.of(run.spec().model(), run.spec().device()), _ -> new LinkedHashMap<>())
                    .computeIfAbsent(run.spec().prompt(), _ -> new ArrayList<>())
                    .add(run);
        }
        return groups.values().stream()
                .flatMap(prompts -> prompts.values().stream())
                .flatMap(List::stream)
                .toList();
    }

    /**
     * Runs until nothing is left, or all that is left is with others that live.
     *
     * @throws WanException if the folder cannot be written: then every run would fail
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

    /** Goes through some runs; true if some are with others of which it cannot be told yet whether they live. */
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
        int attempts = before == null ? 0 : before.attempts();
        Leftovers leftovers = Leftovers.RESUME;
        while (true) {
            attempts++;
            long start = System.nanoTime();
            Places places = new Places(listener);
            String error;
            try {
                listener.runBegan(run, attempts);
                RunResult result = opened.prepare(written(run, worker), places).execute(places, leftovers);
                if (!result.complete()) {
                    throw new CancellationException("stopped");
                }
                publish(worker, run);
                record(run, new RunRecord(attempts, seconds(start), worker.name(), null, now()));
                settle(worker, run);
                failed.remove(run.id());
                refresh();
                listener.runDone(run, seconds(start), counts());
                return;
            } catch (CancellationException e) {
                throw e;
            } catch (RuntimeException | OutOfMemoryError e) {
                if (Files.exists(folder.result(run.id()))) { // another one has done it, and cleaned up
                    settle(worker, run);
                    return;
                }
                if (isOfTheFolder(e)) {
                    throw e;
                }
                error = e.getMessage() == null ? e.toString() : e.getMessage();
            }
            // What was left and cannot be gone on with would fail again.
            leftovers = places.began ? Leftovers.RESUME : Leftovers.DISCARD;
            RunRecord record = new RunRecord(attempts, seconds(start), worker.name(), error, now());
            record(run, record);
            failed.put(run.id(), record);
            boolean again = attempts <= options.retries();
            listener.runFailed(run, error, again, counts());
            if (!again) {
                worker.forget(run.id());
                worker.release(run.id());
                return;
            }
        }
    }

    private void record(SweepRun run, RunRecord record) {
        record.write(folder.record(run.id()), run.id());
    }

    private void publish(Worker worker, SweepRun run) {
        if (run.spec().output().latents() != null) {
            worker.publish(worker.home().resolve(run.id() + ".latents.safetensors"), folder.latents(run.id()));
        }
        worker.publish(worker.home().resolve(run.id() + ".safetensors"), folder.result(run.id()));
    }

    /** The run, with its files in the worker's own folder. */
    private RunSpec written(SweepRun run, Worker worker) {
        RunSpec spec = run.spec();
        RunSpec.Output output = spec.output();
        RunSpec placed = spec.withOutput(new RunSpec.Output(
                worker.home().resolve(run.id() + ".safetensors"),
                output.latents() == null ? null : worker.home().resolve(run.id() + ".latents.safetensors"),
                output.passes(),
                output.complete(),
                null));
        return options.threads() == null
                ? placed
                : placed.withDevice(placed.device().onThreads(options.threads()));
    }

    /** Whether it is the folder that failed, and not the run: no room, no right, no folder any more. */
    private static boolean isOfTheFolder(Throwable thrown) {
        for (Throwable e = thrown; e != null; e = e.getCause()) {
            if (e instanceof IOException io) {
                String reason = String.valueOf(
                                io instanceof FileSystemException file ? file.getReason() : io.getMessage())
                        .toLowerCase(Locale.ROOT);
                return String.valueOf(thrown.getMessage()).contains("cannot write")
                        || reason.contains("no space left")
                        || reason.contains("quota");
            }
        }
        return false;
    }

    /** The model of a run, opened if it is not the one that is; null if it cannot be opened here. */
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

    private static double seconds(long start) {
        return (System.nanoTime() - start) / 1e9;
    }

    private static String now() {
        return Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
    }

    /** Ends a run only where nothing is lost: where it could go on. */
    private static final class Places implements RunMonitor {
        private final SweepListener listener;
        private boolean atPlace = true;
        private boolean began;

        Places(SweepListener listener) {
            this.listener = listener;
        }

        @Override
        public boolean cancelled() {
            return atPlace && listener.cancelled();
        }

        @Override
        public void resumable(int passes) {
            atPlace = true;
            listener.resumable(passes);
        }

        @Override
        public void passStarted(Pass pass) {
            atPlace = false;
            began = true;
            listener.passStarted(pass);
        }

        @Override
        public void notice(String text) {
            listener.notice(text);
        }

        @Override
        public void encoding(int layersDone, int layers) {
            listener.encoding(layersDone, layers);
        }

        @Override
        public void started(Job job) {
            listener.started(job);
        }

        @Override
        public void resumed(int passes, String progress) {
            listener.resumed(passes, progress);
        }

        @Override
        public void restoring(int passes) {
            listener.restoring(passes);
        }

        @Override
        public void layerDone(int layer) {
            listener.layerDone(layer);
        }

        @Override
        public void ended() {
            listener.ended();
        }
    }
}
