/** Wan's weights in files: model folders as shipped, names and layouts, conversion, and random models. */
@NullMarked
package wan.weights;

import org.jspecify.annotations.NullMarked;
