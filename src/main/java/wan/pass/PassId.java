package wan.pass;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import wan.op.WanException;

/**
 * The name of a pass: {@code init0.ctx}, {@code block1.step0}, {@code block1.ctx}.
 *
 * @param kind what the pass is for
 * @param frameBlock 0-based; initial and generated frame blocks are counted separately
 * @param step the denoising step, 0-based; 0 for the others
 */
public record PassId(Kind kind, int frameBlock, int step) {
    private static final Pattern LABEL = Pattern.compile("(init|block)(\\d{1,9})\\.(?:ctx|step(\\d{1,9}))");

    /** What a pass is for. */
    public enum Kind {
        /** Puts given latent frames into the cache. */
        INIT,
        /** One denoising step of a frame block. */
        DENOISE,
        /** Puts a finished frame block's clean keys and values into the cache. */
        CONTEXT
    }

    /** The name that files and messages use, which is also the reference data's. */
    public String label() {
        return switch (kind) {
            case INIT -> "init" + frameBlock + ".ctx";
            case DENOISE -> "block" + frameBlock + ".step" + step;
            case CONTEXT -> "block" + frameBlock + ".ctx";
        };
    }

    /**
     * Reads a label back.
     *
     * @throws WanException if it is none
     */
    public static PassId parse(String label) {
        Matcher match = LABEL.matcher(label);
        if (!match.matches() || (match.group(1).equals("init") && match.group(3) != null)) {
            throw WanException.mismatch("pass", "a name such as block0.step0, block0.ctx or init0.ctx", label, "");
        }
        int frameBlock = Integer.parseInt(match.group(2));
        if (match.group(1).equals("init")) {
            return new PassId(Kind.INIT, frameBlock, 0);
        }
        return match.group(3) == null
                ? new PassId(Kind.CONTEXT, frameBlock, 0)
                : new PassId(Kind.DENOISE, frameBlock, Integer.parseInt(match.group(3)));
    }

    @Override
    public String toString() {
        return label();
    }
}
