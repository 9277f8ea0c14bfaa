/** Videos outside of tensors: MP4, folders of pictures, pictures, safetensors, and whatever ffmpeg writes and reads. */
@NullMarked
package wan.video;

import org.jspecify.annotations.NullMarked;
