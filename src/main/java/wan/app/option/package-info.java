/** Groups of options that several commands share. */
@NullMarked
package wan.app.option;

import org.jspecify.annotations.NullMarked;
