package capture;

import java.util.BitSet;
import org.jspecify.annotations.Nullable;
import wan.pass.Pass;

/** The keys that a head attends to. A cache policy may free other keys; their logits are then NaN. */
@FunctionalInterface
public interface SeenKeys {
    /** Every head sees all keys of a pass. */
    SeenKeys ALL = (pass, layer, head) -> null;

    /** The key slots that a head sees in self-attention; null for all. */
    @Nullable
    BitSet of(Pass pass, int layer, int head);
}
