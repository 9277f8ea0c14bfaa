/** One forward pass as data, and what runs it. */
@NullMarked
package wan.pass;

import org.jspecify.annotations.NullMarked;
