/** The few-step causal rollout of Self-Forcing: the noise schedule, the order of passes, and the loop that runs them. */
@NullMarked
package wan.sampling;

import org.jspecify.annotations.NullMarked;
