/** What a backend offers to the rest: its devices, what it needs of them, and how it is opened. */
@NullMarked
package wan.backend;

import org.jspecify.annotations.NullMarked;
