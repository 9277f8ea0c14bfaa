package wan.sampling;

import wan.op.HostTensor;

/**
 * A pass at which a run departs from an earlier run on the same runner, whose caches hold what the earlier run wrote.
 *
 * @param pass of the plan, counted from 0: the first to run
 * @param input of that pass in the other run, [B, f, C, H, W]
 * @param latents that the other run finished, [B, T, C, H, W]; those of later frames do not count
 */
public record Fork(int pass, HostTensor input, HostTensor latents) {}
