package wan.spark;

import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.apache.spark.SparkEnv;
import org.apache.spark.TaskContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.util.SerializableConfiguration;
import org.jspecify.annotations.Nullable;
import scala.collection.Iterator;
import scala.runtime.AbstractFunction2;
import tools.jackson.databind.JsonNode;
import wan.file.StrictJson;
import wan.sweep.Attempts;
import wan.sweep.RunRecord;
import wan.sweep.SweepListener;
import wan.sweep.SweepRun;
import wan.sweep.SweepState;

/**
 * What an executor does with a run: computes it in a folder of its own and copies the result to its place, unless it is there. So
 * tasks that Spark tries again, or twice at once, do no harm.
 */
final class RunTask extends AbstractFunction2<TaskContext, Iterator<String>, String> implements Serializable {
    private static final long serialVersionUID = 1;
    private static final System.Logger LOG = System.getLogger("wan.spark");

    private final String out;
    private final int retries;
    private final @Nullable Integer threads;
    private final int atOnce;
    private final Broadcast<SerializableConfiguration> hadoop;

    /**
     * Of one sweep.
     *
     * @param out where it is
     * @param retries how often a run that failed is tried again, in all
     * @param threads that compute each run; null for a fair part of the executor's cores
     * @param atOnce runs that an executor has at once; the others take turns
     */
    RunTask(
            String out,
            int retries,
            @Nullable Integer threads,
            int atOnce,
            Broadcast<SerializableConfiguration> hadoop) {
        this.out = out;
        this.retries = retries;
        this.threads = threads;
        this.atOnce = atOnce;
        this.hadoop = hadoop;
    }

    /** Runs the one run of a partition; how it went, as its record says, or nothing if it was done before. */
    @Override
    public String apply(TaskContext task, Iterator<String> runs) {
        JsonNode sent = StrictJson.tree("task", runs.next().getBytes(StandardCharsets.UTF_8));
        SweepRun run = SentRun.read(sent);
        HadoopStore store = new HadoopStore(out, hadoop.value().value());
        if (store.has(SweepState.result(run.id()))) {
            return before(store, run);
        }
        Watch watch = new Watch(task);
        try (OpenModels.Lease model =
                        OpenModels.OF_THIS_EXECUTOR.take(run.spec().model(), atOnce, watch::cancelled, watch);
                Scratch scratch = Scratch.make()) {
            if (store.has(SweepState.result(run.id()))) { // while it waited
                return before(store, run);
            }
            RunRecord how = new Attempts(new Place(store, scratch.folder(), worker()), retries, threads(run), watch)
                    .run(model.wan(), run, sent.get("before").asInt());
            return how == null ? before(store, run) : new String(how.json(run.id()), StandardCharsets.UTF_8);
        }
    }

    private static String before(HadoopStore store, SweepRun run) {
        byte[] record = store.read(SweepState.record(run.id()));
        return record == null ? "" : new String(record, StandardCharsets.UTF_8);
    }

    private @Nullable Integer threads(SweepRun run) {
        String cores = SparkEnv.get().conf().get("spark.executor.cores", "");
        if (threads != null || run.spec().device().threads() != null || !cores.matches("\\d{1,6}")) {
            return threads;
        }
        return Math.max(1, Integer.parseInt(cores) / atOnce);
    }

    private static String worker() {
        return SparkEnv.get().blockManager().blockManagerId().host() + "-"
                + SparkEnv.get().executorId() + "-"
                + ProcessHandle.current().pid();
    }

    /** The task's own folder, and the sweep's. */
    private record Place(HadoopStore store, Path home, String worker) implements Attempts.Place {
        @Override
        public boolean isDone(String id) {
            return store.has(SweepState.result(id));
        }

        @Override
        public void publish(SweepRun run) {
            if (run.spec().output().latents() != null) {
                store.add(SweepState.latents(run.id()), home.resolve(Attempts.latents(run.id())));
            }
            store.add(SweepState.result(run.id()), home.resolve(Attempts.result(run.id())));
        }

        @Override
        public void record(SweepRun run, RunRecord how) {
            store.write(SweepState.record(run.id()), how.json(run.id()));
        }
    }

    /** Ends a run of which Spark wants nothing any more. */
    private static final class Watch implements SweepListener {
        private final TaskContext task;

        Watch(TaskContext task) {
            this.task = task;
        }

        @Override
        public boolean cancelled() {
            return task.isInterrupted();
        }

        @Override
        public void notice(String text) {
            LOG.log(System.Logger.Level.DEBUG, text);
        }
    }
}
