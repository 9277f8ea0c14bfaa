/** One run's state: which frames are where in the caches, what each pass reads and writes, and where noise comes from. */
@NullMarked
package wan.session;

import org.jspecify.annotations.NullMarked;
