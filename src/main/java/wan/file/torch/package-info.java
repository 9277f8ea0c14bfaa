/**
 * PyTorch's own files, read and written: {@code torch.save} in its zip and in its older stream format.
 *
 * <p>A pickle is a program. Here it is only ever data: the few names that a tensor file needs are interpreted by us, and
 * any other name is refused before anything is made of it. Sizes, counts and offsets come from the file and are checked
 * before they are used, so that a hostile file costs an error message and no more.
 */
@NullMarked
package wan.file.torch;

import org.jspecify.annotations.NullMarked;
