/** Many runs as one value, executed by one process or by many that share only a folder. */
@NullMarked
package wan.sweep;

import org.jspecify.annotations.NullMarked;
