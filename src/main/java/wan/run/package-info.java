/** A run: its specification, its resources, and its execution. */
@NullMarked
package wan.run;

import org.jspecify.annotations.NullMarked;
