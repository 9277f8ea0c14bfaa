/** Every operation of a backend against plain loops in double precision: the check at start-up and the command selftest. */
@NullMarked
package wan.selftest;

import org.jspecify.annotations.NullMarked;
