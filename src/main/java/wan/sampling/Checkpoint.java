package wan.sampling;

import wan.op.HostTensor;

/**
 * A place in a plan at which a run can go on: what a sampler cannot compute again without running everything before.
 *
 * @param passes how many of the plan's passes are done
 * @param latents of all frames, [B, T, C, H, W]; those that the passes have finished count
 */
public record Checkpoint(int passes, HostTensor latents) {}
