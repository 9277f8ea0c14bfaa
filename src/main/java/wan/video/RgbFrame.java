package wan.video;

import java.awt.image.BufferedImage;
import java.awt.image.DataBufferByte;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.WanException;

/**
 * A picture of 8 bits a colour.
 *
 * @param rgb [height, width, 3], rows from the top
 */
@SuppressWarnings("ArrayRecordComponent") // a picture, never compared by value
public record RgbFrame(int width, int height, byte[] rgb) {
    private static final int COLOURS = 3;

    /** Checks that the bytes are as many as the size says. */
    public RgbFrame {
        if (rgb.length != COLOURS * width * height) {
            throw WanException.mismatch("picture", COLOURS * width * height + " bytes", rgb.length, "");
        }
    }

    /**
     * Rounds a decoded frame.
     *
     * @param frame [3, rows, columns]; values from -1 to 1, others are clamped, NaN becomes black
     */
    public static RgbFrame of(HostTensor frame) {
        int height = frame.shape().dim(1);
        int width = frame.shape().dim(2);
        int pixels = height * width;
        byte[] rgb = new byte[COLOURS * pixels];
        for (int colour = 0; colour < COLOURS; colour++) {
            for (int i = 0; i < pixels; i++) {
                float value = frame.values()[colour * pixels + i];
                rgb[COLOURS * i + colour] = (byte) Math.round(Math.clamp(127.5f * value + 127.5f, 0, 255));
            }
        }
        return new RgbFrame(width, height, rgb);
    }

    /** [3, rows, columns] with values from -1 to 1, as the encoder takes it. */
    public HostTensor toTensor() {
        int pixels = width * height;
        float[] values = new float[COLOURS * pixels];
        for (int colour = 0; colour < COLOURS; colour++) {
            for (int i = 0; i < pixels; i++) {
                values[colour * pixels + i] = (rgb[COLOURS * i + colour] & 0xff) / 127.5f - 1;
            }
        }
        return new HostTensor(Shape.of(COLOURS, height, width), values);
    }

    /** A Java picture of the same pixels. */
    public BufferedImage toImage() {
        BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_3BYTE_BGR);
        byte[] bgr = ((DataBufferByte) image.getRaster().getDataBuffer()).getData();
        for (int i = 0; i < rgb.length; i += COLOURS) {
            bgr[i] = rgb[i + 2];
            bgr[i + 1] = rgb[i + 1];
            bgr[i + 2] = rgb[i];
        }
        return image;
    }

    /** The pixels of a Java picture; what is transparent lies on black. */
    public static RgbFrame of(BufferedImage image) {
        int width = image.getWidth();
        int height = image.getHeight();
        int[] argb = image.getRGB(0, 0, width, height, null, 0, width);
        byte[] rgb = new byte[COLOURS * argb.length];
        for (int i = 0; i < argb.length; i++) {
            int alpha = argb[i] >>> 24;
            for (int colour = 0; colour < COLOURS; colour++) {
                int value = argb[i] >> (16 - 8 * colour) & 0xff;
                rgb[COLOURS * i + colour] = (byte) ((value * alpha + 127) / 255);
            }
        }
        return new RgbFrame(width, height, rgb);
    }
}
