/** Attention capture: what to watch, what to do with it, and the files it ends in. */
@NullMarked
package capture;

import org.jspecify.annotations.NullMarked;
