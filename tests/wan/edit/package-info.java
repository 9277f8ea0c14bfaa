@NullMarked
package wan.edit;

import org.jspecify.annotations.NullMarked;
