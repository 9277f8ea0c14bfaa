package wan.sampling;

import wan.op.HostTensor;

/**
 * A pass from which a run takes another course than the one that was run before it on the same runner, whose caches hold what that one wrote.
 *
 * @param pass of the plan, counted from 0: the first to run
 * @param input of that pass in the other run, [B, f, C, H, W]
 * @param latents that the other run finished, [B, T, C, H, W]; those of later frames do not count
 */
public record Fork(int pass, HostTensor input, HostTensor latents) {}
