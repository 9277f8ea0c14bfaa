/** What a command shows while it works, and how it is interrupted. */
@NullMarked
package wan.app.terminal;

import org.jspecify.annotations.NullMarked;
