package wan.sweep;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import wan.op.UsageException;

/**
 * The part of a sweep that a process starts with. Each process then continues with the other parts, so the sweep is completed even if
 * only one process survives.
 *
 * @param index from 0
 * @param count the number of shards
 */
public record Shard(int index, int count) {
    /** The whole sweep. */
    public static final Shard WHOLE = new Shard(0, 1);

    /** Checks that the index is below the count. */
    public Shard {
        if (count < 1 || index < 0 || index >= count) {
            throw new UsageException("shard: expected i/n with i from 0 to n-1, got " + index + "/" + count);
        }
    }

    /** Parses {@code i/n}, where i counts from 0. */
    public static Shard parse(String text) {
        String[] parts = text.split("/", -1);
        if (parts.length != 2 || !parts[0].matches("\\d{1,9}") || !parts[1].matches("\\d{1,9}")) {
            throw new UsageException("shard: expected i/n with i from 0 to n-1, got " + text);
        }
        return new Shard(Integer.parseInt(parts[0]), Integer.parseInt(parts[1]));
    }

    /**
     * The shard that a job manager assigns in the environment: a Slurm array, an indexed Kubernetes job ({@code JOB_COMPLETIONS} must
     * hold the number of pods), or the rank that torchrun or MPI sets. Null if there is none.
     */
    public static @Nullable Shard of(Map<String, String> env) {
        String slurm = env.get("SLURM_ARRAY_TASK_ID");
        if (slurm != null) {
            int first = number(env, "SLURM_ARRAY_TASK_MIN", "0");
            int step = number(env, "SLURM_ARRAY_TASK_STEP", "1");
            int task = number(env, "SLURM_ARRAY_TASK_ID", "0");
            return new Shard((task - first) / Math.max(1, step), number(env, "SLURM_ARRAY_TASK_COUNT", null));
        }
        if (env.containsKey("JOB_COMPLETION_INDEX")) {
            return new Shard(number(env, "JOB_COMPLETION_INDEX", null), number(env, "JOB_COMPLETIONS", null));
        }
        if (env.containsKey("RANK") && env.containsKey("WORLD_SIZE")) {
            return new Shard(number(env, "RANK", null), number(env, "WORLD_SIZE", null));
        }
        return null;
    }

    private static int number(Map<String, String> env, String name, @Nullable String otherwise) {
        String value = env.getOrDefault(name, otherwise == null ? "" : otherwise);
        if (!value.matches("\\d{1,9}")) {
            throw new UsageException(
                    "shard: expected a number in the environment variable " + name + ", got \"" + value + "\"");
        }
        return Integer.parseInt(value);
    }

    /** This shard's part of a list: one contiguous piece; all pieces have the same size up to one element. */
    <T> List<T> own(List<T> all) {
        return all.subList(from(all.size(), index), from(all.size(), index + 1));
    }

    private int from(int size, int part) {
        return (int) ((long) size * part / count);
    }

    @Override
    public String toString() {
        return index + "/" + count;
    }
}
