/**
 * Latents to video and back: the causal video autoencoder of Wan2.1, frame by frame.
 *
 * <p>Frames go in one at a time and come out as soon as they are final; what is remembered from frame to frame does not grow.
 */
@NullMarked
package wan.vae;

import org.jspecify.annotations.NullMarked;
