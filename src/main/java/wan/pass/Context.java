package wan.pass;

import wan.op.HostTensor;

/**
 * What cross-attention attends.
 *
 * @param text prompt embeddings, [B, textLen, textDim], zero after each prompt's end
 */
public record Context(HostTensor text) {}
