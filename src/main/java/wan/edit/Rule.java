package wan.edit;

import capture.Indices;
import wan.op.AttentionKind;
import wan.pass.Pass;
import wan.pass.PassId;

/**
 * One intervention: its places and its effect.
 *
 * @param heads of which layers; an effect on whole rows takes the layers alone
 * @param attention self- or cross-attention
 * @param passes which passes
 * @param frameBlocks which generated frame blocks; passes over given latents belong to none
 * @param effect what is done there
 */
public record Rule(Heads heads, AttentionKind attention, Passes passes, Indices frameBlocks, Effect effect) {
    /** Everywhere in self-attention of these heads. */
    public Rule(Heads heads, Effect effect) {
        this(heads, AttentionKind.SELF, Passes.ALL, Indices.ALL, effect);
    }

    /** Whether it acts in a pass. */
    boolean actsIn(Pass pass) {
        boolean inBlock = frameBlocks.equals(Indices.ALL)
                || (pass.id().kind() != PassId.Kind.INIT
                        && frameBlocks.contains(pass.id().frameBlock()));
        return inBlock && passes.contains(pass.id());
    }
}
