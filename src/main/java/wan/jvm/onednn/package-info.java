/** Matrix products by the native library oneDNN, called through java.lang.foreign. */
@NullMarked
package wan.jvm.onednn;

import org.jspecify.annotations.NullMarked;
