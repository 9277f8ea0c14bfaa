/**
 * The JVM backend of {@link wan.op.Ops}: every call is computed at once, on all cores, with nothing but the JDK.
 *
 * <p>{@link wan.jvm.JvmOps} checks shapes and keeps memory; the arithmetic stands behind one small interface with two twins:
 * scalar kernels (plain loops, double accumulation), the oracle that every other kernel is held to, and vector kernels on the
 * Vector API. Activations are heap arrays, because C1 gives up on tiled kernels that write to memory segments and C2 then
 * never sees them; only packed parameters lie off-heap.
 */
@NullMarked
package wan.jvm;

import org.jspecify.annotations.NullMarked;
