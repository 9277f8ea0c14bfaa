package wan.noise;

import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.zip.CRC32C;
import wan.op.Shape;

/** Passes noise on and keeps a count and a checksum of it: a resumed run must have drawn the same numbers. */
public final class CountedNoise implements NoiseSource {
    private final NoiseSource source;
    private final CRC32C crc = new CRC32C();
    private int draws;

    /** Nothing has been drawn yet. */
    public CountedNoise(NoiseSource source) {
        this.source = source;
    }

    @Override
    public float[] initial(Shape shape) {
        return counted(source.initial(shape));
    }

    @Override
    public float[] renoise(int frameBlock, int step, Shape shape) {
        return counted(source.renoise(frameBlock, step, shape));
    }

    @Override
    public float[] renoiseWindow(int window, int frameBlock, int place, Shape shape, int blocks) {
        return counted(source.renoiseWindow(window, frameBlock, place, shape, blocks));
    }

    private float[] counted(float[] values) {
        draws++;
        ByteBuffer bytes = ByteBuffer.allocate(Float.BYTES * values.length);
        bytes.asFloatBuffer().put(values);
        crc.update(bytes);
        return values;
    }

    /** Draws so far. */
    public int draws() {
        return draws;
    }

    /** A checksum of all numbers that were drawn, in order. */
    public String checksum() {
        return HexFormat.of().toHexDigits((int) crc.getValue());
    }

    @Override
    public String description() {
        return source.description();
    }

    @Override
    public void close() {
        source.close();
    }
}
