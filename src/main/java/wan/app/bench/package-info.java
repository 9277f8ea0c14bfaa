/** Measuring operations, layers and passes. */
@NullMarked
package wan.app.bench;

import org.jspecify.annotations.NullMarked;
