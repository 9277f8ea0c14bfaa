package wan.backend;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import wan.op.WanException;

class MemoryPlanTest {
    private static final long MIB = 1 << 20;

    private static MemoryPlan plan(long largestArrayBytes, long deviceBytes) {
        return new MemoryPlan(
                "tornado:0:1",
                3072 * MIB,
                512 * MIB,
                100 * MIB,
                "activations",
                largestArrayBytes,
                deviceBytes,
                1024 * MIB);
    }

    @Test
    void check_saysWhatIsNeededAndWhatToChange_whenTheDeviceIsTooSmall() {
        plan(100 * MIB, 3684 * MIB).check();
        assertThatThrownBy(() -> plan(100 * MIB, 3683 * MIB).check())
                .isInstanceOf(WanException.class)
                .hasMessage(
                        "memory of device tornado:0:1: expected 3.60 GiB (weights 3.00 GiB, keys and values 512.0 MiB,"
                                + " activations 100.0 MiB), got 3.60 GiB; use cache.local_attn_size, fewer frames"
                                + " (video.num_frames, sampler.num_frame_per_block) or a smaller video.latent_height, or a larger"
                                + " device.memory_bytes if the device has more");
    }

    @Test
    void check_asksForAnotherDevice_whenFewerFramesWouldNotHelp() {
        assertThatThrownBy(() -> plan(100 * MIB, 3071 * MIB).check())
                .isInstanceOf(WanException.class)
                .hasMessageContaining(
                        "got 3.00 GiB; the weights alone do not fit: use another device.name, or a larger device.memory_bytes");
    }

    @Test
    void check_saysSo_whenOneArrayIsTooLarge() {
        plan(1024 * MIB, 4096 * MIB).check();
        assertThatThrownBy(() -> plan(1025 * MIB, 4096 * MIB).check())
                .isInstanceOf(WanException.class)
                .hasMessageStartingWith(
                        "memory of device tornado:0:1: expected 1.00 GiB in one array for activations, got a"
                                + " device that allows 1.00 GiB; use cache.local_attn_size");
    }
}
