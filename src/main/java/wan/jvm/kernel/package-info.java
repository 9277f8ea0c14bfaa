/** What the kernels of the JVM backend share: the interface they implement, its arguments, and the threads. */
@NullMarked
package wan.jvm.kernel;

import org.jspecify.annotations.NullMarked;
