package capture.analysis;

import wan.op.UsageException;
import wan.pass.PassId;

/**
 * The place of a pass within its frame block: a denoising step or the context pass. One slot of every frame block makes up one
 * frame-by-frame matrix. A given frame block has one pass only, which stands in every slot.
 *
 * @param step the denoising step, 0-based, or {@link #CONTEXT_STEP}
 */
public record PassSlot(int step) implements Comparable<PassSlot> {
    /** The step number that stands for the context pass, which comes after all steps. */
    public static final int CONTEXT_STEP = Integer.MAX_VALUE;

    /** The context pass. */
    public static final PassSlot CONTEXT = new PassSlot(CONTEXT_STEP);

    /** The slot of a pass of a generated frame block. */
    public static PassSlot of(PassId id) {
        return id.denoises() ? new PassSlot(id.step()) : CONTEXT;
    }

    /** Whether a pass stands in this slot. */
    public boolean holds(PassId id) {
        return id.kind() == PassId.Kind.INIT || of(id).equals(this);
    }

    /**
     * Reads {@code step0}, {@code 0}, {@code ctx} or {@code context}.
     *
     * @throws UsageException if it is none of them
     */
    public static PassSlot parse(String text) {
        if (text.equals("ctx") || text.equals("context")) {
            return CONTEXT;
        }
        String digits = text.startsWith("step") ? text.substring(4) : text;
        if (!digits.matches("\\d{1,6}")) {
            throw new UsageException(
                    "analysis.pass: expected first, last, context or a step such as 0, got \"" + text + "\"");
        }
        return new PassSlot(Integer.parseInt(digits));
    }

    /** As files name it: {@code step0}, {@code ctx}. */
    public String label() {
        return step == CONTEXT_STEP ? "ctx" : "step" + step;
    }

    @Override
    public int compareTo(PassSlot other) {
        return Integer.compare(step, other.step);
    }

    @Override
    public String toString() {
        return label();
    }
}
