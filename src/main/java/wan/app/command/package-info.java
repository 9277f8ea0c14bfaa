/** The commands. */
@NullMarked
package wan.app.command;

import org.jspecify.annotations.NullMarked;
