package wan.spark;

import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.storage.StorageLevel;
import org.apache.spark.util.SerializableConfiguration;
import org.jspecify.annotations.Nullable;
import scala.reflect.ClassTag$;
import scala.runtime.AbstractFunction2;
import scala.runtime.BoxedUnit;
import wan.op.WanException;
import wan.run.RunSpec;
import wan.sweep.Attempts;
import wan.sweep.Dataset;
import wan.sweep.RunRecord;
import wan.sweep.Sweep;
import wan.sweep.SweepListener;
import wan.sweep.SweepRun;
import wan.sweep.SweepRunner;
import wan.sweep.SweepState;

/**
 * Carries a sweep out on Spark: each run that is left is a task. A run that fails is recorded and stops no other, also if it takes its
 * executor with it as often as Spark tries a task; then the others go on in a job of their own.
 */
final class SparkSweep {
    private static final int MOST_PARTITIONS = 1000;

    private final JavaSparkContext spark;
    private final Broadcast<SerializableConfiguration> hadoop;
    private final String out;
    private final Options options;
    private final SweepListener listener;
    private final HadoopStore store;
    private final SweepState state;
    private final List<SweepRun> order;
    private final Set<String> done;
    private final Map<String, RunRecord> failed;
    private final Map<String, RunRecord> ended = new HashMap<>();
    private final Map<RunSpec.Model, String> problems = new LinkedHashMap<>();

    /**
     * How it is carried out; the results are the same.
     *
     * @param retries how often a run that failed is tried again, in all
     * @param threads that compute each run; null for a fair part of the executor's cores
     * @param atOnce runs that an executor has at once; the others take turns
     */
    record Options(int retries, @Nullable Integer threads, int atOnce) {}

    /** Looks at what is there; runs nothing yet. */
    SparkSweep(JavaSparkContext spark, Sweep sweep, String out, Options options, SweepListener listener) {
        this.spark = spark;
        this.hadoop = spark.broadcast(new SerializableConfiguration(spark.hadoopConfiguration()));
        this.store = new HadoopStore(out, spark.hadoopConfiguration());
        this.out = store.toString();
        this.options = options;
        this.listener = listener;
        this.state = SweepState.begin(store, sweep);
        this.order = SweepRun.grouped(state.runs());
        this.done = state.done();
        this.failed = state.failed();
    }

    /** Where it is. */
    String out() {
        return out;
    }

    /**
     * Runs until nothing is left, but what no executor has the model of.
     *
     * @throws WanException if it is not a run that fails, but the cluster or the file system
     */
    SweepRunner.Outcome execute() {
        listener.began(counts());
        boolean interrupted = false;
        List<SweepRun> left = left();
        while (!left.isEmpty() && !interrupted) {
            interrupted = !round(left) || listener.cancelled();
            left = left();
        }
        if (counts().left() == 0) {
            store.removeUnfinished("runs");
        }
        return new SweepRunner.Outcome(counts(), interrupted, List.copyOf(problems.values()));
    }

    private List<SweepRun> left() {
        return order.stream()
                .filter(run -> !isOver(run) && !problems.containsKey(run.spec().model()))
                .toList();
    }

    private boolean isOver(SweepRun run) {
        RunRecord record = failed.get(run.id());
        return done.contains(run.id()) || (record != null && record.attempts() > options.retries());
    }

    private int before(SweepRun run) {
        RunRecord record = failed.get(run.id());
        return record == null ? 0 : record.attempts();
    }

    /** One job of what is left; false if the listener ended it. */
    private boolean round(List<SweepRun> left) {
        LostTasks lost = new LostTasks();
        spark.sc().addSparkListener(lost);
        try {
            List<String> sent =
                    left.stream().map(run -> SentRun.write(run, before(run))).toList();
            spark.sc()
                    .runJob(
                            spark.parallelize(sent, sent.size()).rdd(),
                            new RunTask(out, options.retries(), options.threads(), options.atOnce(), hadoop),
                            new AbstractFunction2<Object, String, BoxedUnit>() {
                                @Override
                                public BoxedUnit apply(Object partition, String how) {
                                    ended(left.get((Integer) partition), how);
                                    return BoxedUnit.UNIT;
                                }
                            },
                            ClassTag$.MODULE$.apply(String.class));
            return true;
        } catch (Exception e) { // Scala's methods throw checked ones undeclared
            if (listener.cancelled()) {
                return false;
            }
            try {
                goOnWithout(lost.worst(), left, e);
            } catch (InterruptedException interrupt) {
                Thread.currentThread().interrupt();
                return false;
            }
            return true;
        } finally {
            spark.sc().removeSparkListener(lost);
        }
    }

    /** Called for one run after the other, as they end. */
    private void ended(SweepRun run, String how) {
        RunRecord record = how.isEmpty() ? null : RunRecord.parse(run.id(), how.getBytes(StandardCharsets.UTF_8));
        if (record != null) {
            ended.put(run.id(), record);
        }
        if (record == null || record.error() == null) {
            done.add(run.id());
            failed.remove(run.id());
            listener.runDone(run, record == null ? 0 : record.seconds(), counts());
        } else {
            failed.put(run.id(), record);
            listener.runFailed(run, record.error(), false, counts());
        }
    }

    /** What ended a job is given up, so that the others can go on. */
    private void goOnWithout(LostTasks.@Nullable Lost lost, List<SweepRun> left, Exception e) {
        if (lost == null || !(lost.model() || lost.process())) {
            throw new WanException("Spark: " + (lost == null ? firstLine(e) : lost.reason()), e);
        }
        SweepRun run = left.get(lost.partition());
        if (lost.model()) {
            problems.put(run.spec().model(), lost.reason());
            listener.notice(lost.reason());
            return;
        }
        String error = "its executor ended " + lost.times() + " times, the last time: " + lost.reason();
        RunRecord record = new RunRecord(
                Math.max(before(run) + lost.times(), options.retries() + 1), 0, "", error, Attempts.now());
        state.record(run.id(), record);
        failed.put(run.id(), record);
        ended.put(run.id(), record);
        listener.runFailed(run, error, false, counts());
    }

    static String firstLine(Throwable e) {
        return String.valueOf(e.getMessage() == null ? e.toString() : e.getMessage())
                .lines()
                .findFirst()
                .orElse("");
    }

    private SweepListener.Counts counts() {
        int all = 0;
        int bad = 0;
        for (SweepRun run : order) {
            boolean whole = done.contains(run.id());
            all += whole ? 1 : 0;
            bad += !whole && isOver(run) ? 1 : 0;
        }
        return new SweepListener.Counts(order.size(), all, bad, order.size() - all - bad);
    }

    /**
     * Writes the tables: their rows on the executors, the files here, a partition at a time.
     *
     * @param frames whether to write that table too
     * @return their names
     */
    List<String> writeDataset(boolean frames) {
        List<String> names = new ArrayList<>();
        try (Scratch scratch = Scratch.make()) {
            for (Path file : Dataset.write(scratch.folder(), state, new Source(), frames)) {
                String name = "dataset/" + file.getFileName();
                store.replace(name, file);
                names.add(out + "/" + name);
            }
        }
        return names;
    }

    private final class Source implements Dataset.Source {
        private final Set<String> recorded = new HashSet<>(state.recorded());

        @Override
        public boolean isDone(String id) {
            return done.contains(id);
        }

        @Override
        public @Nullable RunRecord how(String id) {
            RunRecord known = ended.get(id);
            return known != null || !recorded.contains(id) ? known : state.how(id);
        }

        @Override
        public void write(Dataset.Part part, Writer text) throws IOException {
            List<String> ids = state.runs().stream()
                    .map(SweepRun::id)
                    .filter(done::contains)
                    .toList();
            if (ids.isEmpty()) {
                return;
            }
            int partitions = part == Dataset.Part.FRAMES ? ids.size() : Math.min(ids.size(), MOST_PARTITIONS);
            JavaRDD<byte[]> rows = spark.parallelize(ids, partitions)
                    .map(new RowsTask(out, part, hadoop))
                    .persist(StorageLevel.DISK_ONLY());
            long _ = rows.count(); // on all executors at once; what follows is one partition after the other
            for (Iterator<byte[]> all = rows.toLocalIterator(); all.hasNext(); ) {
                text.write(new String(all.next(), StandardCharsets.UTF_8));
            }
            JavaRDD<byte[]> _ = rows.unpersist();
        }
    }
}
