/**
 * File formats that know nothing of Wan: a memory-mapped safetensors reader (one file or shards behind an index), a streaming
 * writer, PyTorch and NumPy files, strict JSON, and output files that appear when they are whole.
 *
 * <p>Every reader treats its file as hostile: whatever is wrong with it is a {@link wan.op.FormatException} of one line.
 */
@NullMarked
package wan.file;

import org.jspecify.annotations.NullMarked;
