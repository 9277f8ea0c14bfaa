package wan.sweep;

import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;
import wan.pass.Pass;
import wan.run.Job;
import wan.run.Leftovers;
import wan.run.RunMonitor;
import wan.run.RunResult;
import wan.run.RunSpec;
import wan.run.Wan;

/**
 * Runs one run of a sweep in one process, whoever assigned it: tries it until it succeeds or is given up, and records which.
 *
 * @param place where it works and where results go
 * @param retries how often a failed run is tried again, counted over all processes
 * @param threads number of computing threads; null for the run's own setting
 * @param listener observes the run
 */
public record Attempts(Place place, int retries, @Nullable Integer threads, SweepListener listener) {
    /** Where a process keeps the run it is working on, and where finished runs go. */
    public interface Place {
        /** A folder that no other process writes to. */
        Path home();

        /** The name of this process in records. */
        String worker();

        /** Whether a run's result exists, whoever made it. */
        boolean isDone(String id);

        /** Moves the files of a finished run from {@link #home} to their final place. */
        void publish(SweepRun run);

        /** Records how a run went. */
        void record(SweepRun run, RunRecord how);

        /**
         * Called after a failed run has been recorded.
         *
         * @param again whether it will be tried again
         */
        default void failed(SweepRun run, RunRecord how, boolean again) {}
    }

    /** The file name of a run's result in the folder where it is made. */
    public static String result(String id) {
        return id + ".safetensors";
    }

    /** The file name of a run's latents in the folder where it is made. */
    public static String latents(String id) {
        return id + ".latents.safetensors";
    }

    /**
     * Executes a run.
     *
     * @param wan the run's model, opened
     * @param before the number of earlier attempts
     * @return how the last attempt went; null if another process has finished the run in the meantime
     * @throws CancellationException if the listener cancelled it
     * @throws wan.op.WanException if the place itself fails, so that every run would
     */
    public @Nullable RunRecord run(Wan wan, SweepRun run, int before) {
        int attempts = before;
        Leftovers leftovers = Leftovers.RESUME;
        while (true) {
            attempts++;
            long start = System.nanoTime();
            Places places = new Places(listener);
            String error;
            try {
                listener.runBegan(run, attempts);
                RunResult result = wan.prepare(written(run), places).execute(places, leftovers);
                if (!result.complete()) {
                    throw new CancellationException("stopped");
                }
                place.publish(run);
                RunRecord how = new RunRecord(attempts, seconds(start), place.worker(), null, now());
                place.record(run, how);
                return how;
            } catch (CancellationException e) {
                throw e;
            } catch (RuntimeException | OutOfMemoryError e) {
                if (place.isDone(run.id())) { // another one has done it, and cleaned up
                    return null;
                }
                if (isOfThePlace(e)) {
                    throw e;
                }
                error = e.getMessage() == null ? e.toString() : e.getMessage();
            }
            // What was left and cannot be gone on with would fail again.
            leftovers = places.began ? Leftovers.RESUME : Leftovers.DISCARD;
            RunRecord how = new RunRecord(attempts, seconds(start), place.worker(), error, now());
            place.record(run, how);
            boolean again = attempts <= retries;
            place.failed(run, how, again);
            if (!again) {
                return how;
            }
        }
    }

    /** The run, with its files in this process's own folder. */
    private RunSpec written(SweepRun run) {
        RunSpec spec = run.spec();
        RunSpec.Output output = spec.output();
        RunSpec placed = spec.withOutput(new RunSpec.Output(
                place.home().resolve(result(run.id())),
                output.latents() == null ? null : place.home().resolve(latents(run.id())),
                output.passes(),
                output.complete(),
                null));
        return threads == null ? placed : placed.withDevice(placed.device().onThreads(threads));
    }

    /** Whether the place failed and not the run: the disk is full, permission is denied, or the folder is gone. */
    private static boolean isOfThePlace(Throwable thrown) {
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

    private static double seconds(long start) {
        return (System.nanoTime() - start) / 1e9;
    }

    /** The time of a record, in ISO 8601. */
    public static String now() {
        return Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
    }

    /** Cancels a run only at points from which it can be resumed, so that nothing is lost. */
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
