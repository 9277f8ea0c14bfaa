package wan.text;

import java.util.function.IntConsumer;

/** Shares out independent pieces of work among threads; the result does not depend on how. */
@FunctionalInterface
public interface Parallel {
    /** One piece after the other, on the calling thread. */
    Parallel NONE = (count, task) -> {
        for (int i = 0; i < count; i++) {
            task.accept(i);
        }
    };

    /** Runs {@code task} with 0 to count - 1, and returns when all are done. */
    void run(int count, IntConsumer task);
}
