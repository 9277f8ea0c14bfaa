/** Gaussian noise as PyTorch draws it for a seed. */
@NullMarked
package wan.noise;

import org.jspecify.annotations.NullMarked;
