/** Sweeps whose runs Spark gives out. A build of its own: nothing of it is in wan-attn.jar, and Spark is in no jar of ours. */
@NullMarked
package wan.spark;

import org.jspecify.annotations.NullMarked;
