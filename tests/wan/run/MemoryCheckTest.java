package wan.run;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import wan.backend.MemoryPlan;
import wan.op.WanException;

class MemoryCheckTest {
    @Test
    void require_namesTheHostsCopies_whenOnlyTheDeviceHasTheRoom() {
        long tib = 1L << 40;
        MemoryPlan plan = new MemoryPlan("tornado:0:0", 3 * tib, tib, tib, "weights", tib, 8 * tib, 2 * tib);
        assertThatThrownBy(() -> MemoryCheck.require(plan))
                .isInstanceOf(WanException.class)
                .hasMessageStartingWith("memory: expected 5.0 TiB on the host, which keeps a copy of every array")
                .hasMessageContaining("a larger Java heap");
    }
}
