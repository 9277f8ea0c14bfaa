/** What keeps a command from destroying files: its own inputs, and what others wrote. */
@NullMarked
package wan.app.guard;

import org.jspecify.annotations.NullMarked;
