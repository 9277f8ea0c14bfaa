/** Plain loops with double accumulation: the oracle that every other kernel is held to. */
@NullMarked
package wan.jvm.scalar;

import org.jspecify.annotations.NullMarked;
