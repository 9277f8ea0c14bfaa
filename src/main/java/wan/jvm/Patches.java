package wan.jvm;

import wan.op.Shape;

/**
 * Latents [batch, frames, channels, 2 rows, 2 columns] and their 1 x 2 x 2 patches.
 *
 * @param rows patch rows of a frame
 * @param columns patch columns of a frame
 */
record Patches(int batch, int frames, int channels, int rows, int columns) {
    Shape latentShape() {
        return Shape.of(batch, frames, channels, 2L * rows, 2L * columns);
    }

    Shape patchShape() {
        return Shape.of((long) batch * frames * rows * columns, 4L * channels);
    }

    /** Values of a patch in the order channel (slowest), row, column: a convolution's weight, flattened. */
    void cut(float[] latents, float[] patches) {
        int to = 0;
        for (int frame = 0; frame < batch * frames; frame++) {
            for (int row = 0; row < rows; row++) {
                for (int column = 0; column < columns; column++) {
                    for (int channel = 0; channel < channels; channel++) {
                        int from = latentIndex(frame, channel, row, column);
                        patches[to++] = latents[from];
                        patches[to++] = latents[from + 1];
                        patches[to++] = latents[from + 2 * columns];
                        patches[to++] = latents[from + 2 * columns + 1];
                    }
                }
            }
        }
    }

    /** Values of a patch in the order row, column, channel (fastest): {@code unpatchify} of the reference's model. */
    void join(float[] patches, float[] latents) {
        int from = 0;
        for (int frame = 0; frame < batch * frames; frame++) {
            for (int row = 0; row < rows; row++) {
                for (int column = 0; column < columns; column++) {
                    for (int corner = 0; corner < 4; corner++) {
                        int inPatch = corner / 2 * 2 * columns + corner % 2;
                        for (int channel = 0; channel < channels; channel++) {
                            latents[latentIndex(frame, channel, row, column) + inPatch] = patches[from++];
                        }
                    }
                }
            }
        }
    }

    /** Index of a patch's upper left value in one channel. */
    private int latentIndex(int frame, int channel, int row, int column) {
        return ((frame * channels + channel) * 2 * rows + 2 * row) * 2 * columns + 2 * column;
    }
}
