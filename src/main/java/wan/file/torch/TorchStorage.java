package wan.file.torch;

import wan.op.DType;

/**
 * A flat run of elements that tensors share, as a pickle's persistent id names it.
 *
 * @param key names the run of bytes in the file
 * @param dtype element type; U8 for an untyped storage
 * @param untyped whether it is bytes of whatever type its tensors have
 * @param elements of the storage whose bytes the file holds
 * @param viewOffset first element of this view of it (legacy files), else 0
 * @param viewElements elements of this view, else {@code elements}
 */
public record TorchStorage(
        String key, DType dtype, boolean untyped, long elements, long viewOffset, long viewElements) {
    /** Bytes that the file has to hold under the key. */
    public long totalBytes() {
        return dtype.bytes(elements);
    }
}
