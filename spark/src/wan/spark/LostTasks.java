package wan.spark;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.spark.ExceptionFailure;
import org.apache.spark.TaskFailedReason;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerJobEnd;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.jspecify.annotations.Nullable;

/** Which tasks of a job failed and why: Spark's exception tells of one, in many lines. */
final class LostTasks extends SparkListener {
    private static final long PATIENCE_SECONDS = 30;

    private final Map<Integer, Lost> lost = new HashMap<>();
    private final CountDownLatch ended = new CountDownLatch(1);

    /**
     * A task that failed.
     *
     * @param partition what it was at
     * @param times how often
     * @param reason of the last time, one line
     * @param model whether that was a model which could not be opened
     * @param process whether that was the end of its executor
     */
    record Lost(int partition, int times, String reason, boolean model, boolean process) {}

    @Override
    public synchronized void onTaskEnd(SparkListenerTaskEnd end) {
        if (end.reason() instanceof TaskFailedReason failed && failed.countTowardsTaskFailures()) {
            boolean thrown = failed instanceof ExceptionFailure;
            String text =
                    failed instanceof ExceptionFailure e ? String.valueOf(e.description()) : failed.toErrorString();
            boolean model =
                    failed instanceof ExceptionFailure e && e.className().equals(ModelProblem.class.getName());
            int partition = end.taskInfo().partitionId();
            Lost before = lost.get(partition);
            lost.put(
                    partition,
                    new Lost(
                            partition,
                            before == null ? 1 : before.times() + 1,
                            text.strip().replaceAll("\\s*\\R\\s*", " "),
                            model,
                            !thrown));
        }
    }

    @Override
    public void onJobEnd(SparkListenerJobEnd end) {
        ended.countDown();
    }

    /** The task that failed most often, which is the one that ended the job; null if none did. */
    @Nullable
    Lost worst() throws InterruptedException {
        boolean _ = ended.await(PATIENCE_SECONDS, TimeUnit.SECONDS); // what is told comes later than the exception
        synchronized (this) {
            return lost.values().stream()
                    .reduce((a, b) -> b.times() > a.times() ? b : a)
                    .orElse(null);
        }
    }
}
