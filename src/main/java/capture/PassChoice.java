package capture;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import wan.op.UsageException;
import wan.pass.PassId;

/**
 * The passes to capture in each frame block. Initial frame blocks have only one pass, which every choice includes.
 *
 * @param kind the rule
 * @param steps denoising steps, ascending, for {@link Kind#STEPS}; else empty
 */
public record PassChoice(Kind kind, List<Integer> steps) {
    /** The first denoising step: pure-noise queries. This is what the reference's extraction script keeps. */
    public static final PassChoice FIRST = new PassChoice(Kind.FIRST, List.of());

    /** The rules. */
    public enum Kind {
        /** The first denoising step. */
        FIRST,
        /** The last denoising step. */
        LAST,
        /** The pass that writes the clean keys and values. */
        CONTEXT,
        /** Every pass. */
        ALL,
        /** The denoising steps that are named. */
        STEPS
    }

    /** Copies the list. */
    public PassChoice {
        steps = List.copyOf(steps);
    }

    /**
     * Reads {@code first}, {@code last}, {@code context}, {@code all} or a list of steps such as {@code 0,2} or {@code 0-2}.
     *
     * @throws UsageException if it has another form
     */
    public static PassChoice parse(String text) {
        for (Kind kind : Kind.values()) {
            if (kind != Kind.STEPS && kind.name().toLowerCase(Locale.ROOT).equals(text)) {
                return new PassChoice(kind, List.of());
            }
        }
        return new PassChoice(
                Kind.STEPS,
                IndexList.parse("capture.passes", text, Integer.MAX_VALUE, "first, last, context, all or steps"));
    }

    /**
     * Whether a pass is captured.
     *
     * @param numSteps denoising steps of the run
     */
    public boolean includes(PassId id, int numSteps) {
        return switch (id.kind()) {
            case INIT -> true;
            case CONTEXT, UPDATE, RECACHE, RECOMPUTE -> kind == Kind.CONTEXT || kind == Kind.ALL;
            case DENOISE, STEP, WINDOW ->
                switch (kind) {
                    case FIRST -> id.step() == 0;
                    case LAST -> id.step() == numSteps - 1;
                    case CONTEXT -> false;
                    case ALL -> true;
                    case STEPS -> steps.contains(id.step());
                };
        };
    }

    /**
     * Checks that the named steps exist.
     *
     * @throws UsageException if one does not
     */
    public void check(int numSteps) {
        List<Integer> missing = new ArrayList<>(steps);
        missing.removeIf(step -> step < numSteps);
        if (!missing.isEmpty()) {
            throw new UsageException(
                    "capture.passes: expected steps 0 to " + (numSteps - 1) + ", got " + missing.getFirst());
        }
    }

    @Override
    public String toString() {
        return kind == Kind.STEPS
                ? String.join(",", steps.stream().map(String::valueOf).toList())
                : kind.name().toLowerCase(Locale.ROOT);
    }
}
