/** Tests of the way from a prompt to embeddings, against {@code golden2}. */
@NullMarked
package wan.text;

import org.jspecify.annotations.NullMarked;
