/** Interventions as data: which heads, passes and keys are changed, and how. */
@NullMarked
package wan.edit;

import org.jspecify.annotations.NullMarked;
