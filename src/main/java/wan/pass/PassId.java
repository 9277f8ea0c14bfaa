package wan.pass;

import java.util.Arrays;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import wan.op.WanException;

/**
 * The name of a pass: {@code init0.ctx}, {@code block1.step0}, {@code block1.ctx}, {@code step3.cond}, {@code window2.update}.
 *
 * @param kind what the pass is for
 * @param frameBlock 0-based; initial and generated frame blocks are counted separately; the window's number for windows, the
 *     switch's for recaches, 0 for steps of a whole video
 * @param step the denoising step, 0-based; 0 for the others
 * @param branch which of the two calls of a guided step
 */
public record PassId(Kind kind, int frameBlock, int step, Branch branch) {
    private static final Pattern LABEL = Pattern.compile(
            "(init|block|window|recache|step)(\\d{1,9})(?:\\.(ctx|update|recompute|step(\\d{1,9})))?(?:\\.(cond|uncond))?");

    /** What a pass is for. */
    public enum Kind {
        /** Puts given latent frames into the cache. */
        INIT,
        /** One denoising step of a frame block. */
        DENOISE,
        /** Puts a finished frame block's clean keys and values into the cache. */
        CONTEXT,
        /** One denoising step of all frames at once. */
        STEP,
        /** One denoising step of several frame blocks at once, each at its own noise level. */
        WINDOW,
        /** Puts the first frame block of a window into the cache. */
        UPDATE,
        /** Puts finished frames into the cache again, under another prompt. */
        RECACHE,
        /** Puts finished frames into an empty cache before a frame block. */
        RECOMPUTE
    }

    /** Which of the two calls of a guided step a pass is. */
    public enum Branch {
        /** There is one call only. */
        NONE,
        /** With the prompt. */
        COND,
        /** With the negative prompt. */
        UNCOND
    }

    /** A pass without guidance. */
    public PassId(Kind kind, int frameBlock, int step) {
        this(kind, frameBlock, step, Branch.NONE);
    }

    /** Whether both belong to the same step, or are the same pass. */
    public boolean sameStep(PassId other) {
        return kind == other.kind && frameBlock == other.frameBlock && step == other.step;
    }

    /** Whether the pass is a denoising step, so that its step number has a meaning. */
    public boolean denoises() {
        return kind == Kind.DENOISE || kind == Kind.STEP || kind == Kind.WINDOW;
    }

    /** The name that files and messages use, which is also the reference data's. */
    public String label() {
        String name = switch (kind) {
            case INIT -> "init" + frameBlock + ".ctx";
            case DENOISE -> "block" + frameBlock + ".step" + step;
            case CONTEXT -> "block" + frameBlock + ".ctx";
            case STEP -> "step" + step;
            case WINDOW -> "window" + frameBlock;
            case UPDATE -> "window" + frameBlock + ".update";
            case RECACHE -> "recache" + frameBlock;
            case RECOMPUTE -> "block" + frameBlock + ".recompute";
        };
        return branch == Branch.NONE ? name : name + "." + branch.name().toLowerCase(Locale.ROOT);
    }

    /**
     * Reads a label back.
     *
     * @throws WanException if it is not a label
     */
    public static PassId parse(String label) {
        Matcher match = LABEL.matcher(label);
        @Nullable PassId id = match.matches() ? parsed(match) : null;
        if (id == null || !id.label().equals(label)) {
            throw WanException.mismatch(
                    "pass", "a name such as block0.step0, block0.ctx, init0.ctx or step0.cond", label, "");
        }
        return id;
    }

    private static @Nullable PassId parsed(Matcher match) {
        int number = Integer.parseInt(match.group(2));
        int step = match.group(4) == null ? 0 : Integer.parseInt(match.group(4));
        @Nullable
        Kind kind = switch (match.group(1) + "." + (match.group(4) != null ? "step" : match.group(3))) {
            case "init.ctx" -> Kind.INIT;
            case "block.step" -> Kind.DENOISE;
            case "block.ctx" -> Kind.CONTEXT;
            case "block.recompute" -> Kind.RECOMPUTE;
            case "step.null" -> Kind.STEP;
            case "window.null" -> Kind.WINDOW;
            case "window.update" -> Kind.UPDATE;
            case "recache.null" -> Kind.RECACHE;
            default -> null;
        };
        if (kind == null) {
            return null;
        }
        Branch branch = Arrays.stream(Branch.values())
                .filter(each -> each.name().toLowerCase(Locale.ROOT).equals(match.group(5)))
                .findFirst()
                .orElse(Branch.NONE);
        return kind == Kind.STEP ? new PassId(kind, 0, number, branch) : new PassId(kind, number, step, branch);
    }

    @Override
    public String toString() {
        return label();
    }
}
