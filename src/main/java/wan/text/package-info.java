/**
 * From a prompt to the embeddings that the transformer attends to: cleaning, SentencePiece ids, the UMT5 encoder, a cache.
 *
 * <p>Does what the reference does in {@code wan/modules/tokenizers.py} and {@code wan/modules/t5.py}: the same cleaned text, the
 * same ids, the same float32 embeddings within rounding.
 */
@NullMarked
package wan.text;

import org.jspecify.annotations.NullMarked;
