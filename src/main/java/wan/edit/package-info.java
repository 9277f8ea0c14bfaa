/** Interventions as data: which heads, passes and keys change, and how. */
@NullMarked
package wan.edit;

import org.jspecify.annotations.NullMarked;
