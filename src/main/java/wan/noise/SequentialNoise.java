package wan.noise;

import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.WanException;

/** Noise that is whatever one generator yields next, with a check that it is asked for in the order of the reference. */
final class SequentialNoise implements NoiseSource {
    private final Normals normals;
    private final String description;
    private int lastFrameBlock;
    private int lastStep;

    SequentialNoise(Normals normals, String description) {
        this.normals = normals;
        this.description = description;
    }

    @Override
    public float[] initial(Shape shape) {
        lastFrameBlock = 0;
        lastStep = -1;
        return normals.next(shape.intSize());
    }

    @Override
    public float[] renoise(int frameBlock, int step, Shape shape) {
        if (frameBlock < lastFrameBlock || (frameBlock == lastFrameBlock && step <= lastStep)) {
            throw new WanException("noise of frame block " + frameBlock + ", step " + step
                    + ": already drawn up to frame block " + lastFrameBlock + ", step " + lastStep
                    + "; a generator cannot go back, start again from the seed");
        }
        lastFrameBlock = frameBlock;
        lastStep = step;
        return normals.next(shape.intSize());
    }

    @Override
    public float[] renoiseWindow(int window, int frameBlock, int place, Shape shape, int blocks) {
        long[] dims = shape.dims();
        dims[1] *= blocks;
        Shape whole = Shape.of(dims);
        HostTensor drawn = new HostTensor(whole, renoise(window, frameBlock, whole));
        return drawn.frames(place * shape.dim(1), shape.dim(1)).values();
    }

    @Override
    public String description() {
        return description;
    }

    @Override
    public String toString() {
        return description;
    }
}
