/**
 * Files of tensors: a memory-mapped safetensors reader (one file or shards behind an index), one streaming writer for everything
 * the project writes, model folders as Wan2.1 ships them, and random models.
 *
 * <p>The reader treats every file as hostile: whatever is wrong with it is a {@link wan.op.FormatException} of one line.
 */
@NullMarked
package wan.weights;

import org.jspecify.annotations.NullMarked;
