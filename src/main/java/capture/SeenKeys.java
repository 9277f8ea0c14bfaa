package capture;

import java.util.BitSet;
import org.jspecify.annotations.Nullable;
import wan.pass.Pass;

/** Which keys a head sees: a cache policy gives back what it does not, and the logits of those are no numbers. */
@FunctionalInterface
public interface SeenKeys {
    /** Every head sees all keys of a pass. */
    SeenKeys ALL = (pass, layer, head) -> null;

    /** The key slots that a head sees in self-attention; null for all. */
    @Nullable
    BitSet of(Pass pass, int layer, int head);
}
