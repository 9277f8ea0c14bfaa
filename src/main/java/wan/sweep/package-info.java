/** Many runs as one value, carried out by one process or by many that share nothing but a folder. */
@NullMarked
package wan.sweep;

import org.jspecify.annotations.NullMarked;
