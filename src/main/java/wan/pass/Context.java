package wan.pass;

import org.jspecify.annotations.Nullable;
import wan.op.HostTensor;

/**
 * What cross-attention attends to.
 *
 * @param text prompt embeddings, [B, textLen, textDim], zero after each prompt's end
 * @param image features of a picture, [B, tokens, imageDim]; null where the model takes none
 */
public record Context(HostTensor text, @Nullable HostTensor image) {
    /** Text alone. */
    public Context(HostTensor text) {
        this(text, null);
    }
}
