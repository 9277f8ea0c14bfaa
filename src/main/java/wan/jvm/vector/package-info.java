/** Kernels on the Vector API. */
@NullMarked
package wan.jvm.vector;

import org.jspecify.annotations.NullMarked;
