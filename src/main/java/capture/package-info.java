/** Attention capture: capture plans, taps, frame matrices and result files. */
@NullMarked
package capture;

import org.jspecify.annotations.NullMarked;
