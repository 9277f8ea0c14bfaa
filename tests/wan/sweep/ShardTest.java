package wan.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.op.UsageException;

class ShardTest {
    @Test
    void own_sharesOutEverythingOnce() {
        List<Integer> all = IntStream.range(0, 103).boxed().toList();
        List<Integer> given = new ArrayList<>();
        for (int i = 0; i < 16; i++) {
            List<Integer> own = new Shard(i, 16).own(all);
            assertThat(own).hasSizeBetween(6, 7);
            given.addAll(own);
        }
        assertThat(given).isEqualTo(all);
        assertThat(new Shard(3, 200).own(all)).hasSizeLessThanOrEqualTo(1);
    }

    @Test
    void of_readsWhatJobManagersSay() {
        assertThat(Shard.of(Map.of())).isNull();
        assertThat(Shard.of(Map.of("SLURM_ARRAY_TASK_ID", "3", "SLURM_ARRAY_TASK_COUNT", "64")))
                .isEqualTo(new Shard(3, 64));
        assertThat(Shard.of(Map.of(
                        "SLURM_ARRAY_TASK_ID",
                        "5",
                        "SLURM_ARRAY_TASK_COUNT",
                        "3",
                        "SLURM_ARRAY_TASK_MIN",
                        "1",
                        "SLURM_ARRAY_TASK_STEP",
                        "2",
                        "RANK",
                        "0",
                        "WORLD_SIZE",
                        "8")))
                .isEqualTo(new Shard(2, 3));
        assertThat(Shard.of(Map.of("JOB_COMPLETION_INDEX", "2", "JOB_COMPLETIONS", "4")))
                .isEqualTo(new Shard(2, 4));
        assertThat(Shard.of(Map.of("RANK", "0", "WORLD_SIZE", "8"))).isEqualTo(new Shard(0, 8));
        assertThatThrownBy(() -> Shard.of(Map.of("JOB_COMPLETION_INDEX", "2")))
                .isInstanceOf(UsageException.class)
                .hasMessage("shard: expected a number in the environment variable JOB_COMPLETIONS, got \"\"");
    }

    @ParameterizedTest
    @ValueSource(strings = {"3", "3/3", "-1/3", "a/b", "1/0", "1/2/3", ""})
    void parse_refusesWhatIsNoPart(String text) {
        assertThatThrownBy(() -> Shard.parse(text))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("shard: expected i/n");
    }
}
