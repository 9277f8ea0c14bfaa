/** A run: what it is, what it needs, and what carries it out. */
@NullMarked
package wan.run;

import org.jspecify.annotations.NullMarked;
