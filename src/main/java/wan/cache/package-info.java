/** Which slots of the key and value cache a pass writes and attends to: pure integers. */
@NullMarked
package wan.cache;

import org.jspecify.annotations.NullMarked;
