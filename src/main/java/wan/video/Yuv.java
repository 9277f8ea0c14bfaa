package wan.video;

import org.jcodec.common.model.ColorSpace;
import org.jcodec.common.model.Picture;

/**
 * Pictures as H.264 stores them: brightness of every pixel and colour of every four, by ITU-R BT.601 in the limited range, which
 * is what players take a small video for that says nothing. JCodec's planes hold value - 128.
 */
final class Yuv {
    private static final int BLACK = 16;
    private static final double BRIGHTNESS_STEPS = 219;
    private static final double COLOUR_STEPS = 224;
    private static final double RED = 0.299;
    private static final double BLUE = 0.114;
    private static final double GREEN = 1 - RED - BLUE;

    private Yuv() {}

    /** Width and height are even. */
    static Picture of(RgbFrame frame) {
        int width = frame.width();
        int height = frame.height();
        Picture picture = Picture.create(width, height, ColorSpace.YUV420J);
        byte[] y = picture.getPlaneData(0);
        byte[] cb = picture.getPlaneData(1);
        byte[] cr = picture.getPlaneData(2);
        byte[] rgb = frame.rgb();
        for (int i = 0; i < width * height; i++) {
            y[i] = signed(BLACK + BRIGHTNESS_STEPS / 255 * brightness(red(rgb, i), green(rgb, i), blue(rgb, i)));
        }
        for (int row = 0; row < height / 2; row++) {
            for (int column = 0; column < width / 2; column++) {
                double red = 0;
                double green = 0;
                double blue = 0;
                for (int k = 0; k < 4; k++) {
                    int i = (2 * row + k / 2) * width + 2 * column + k % 2;
                    red += red(rgb, i) / 4.0;
                    green += green(rgb, i) / 4.0;
                    blue += blue(rgb, i) / 4.0;
                }
                double brightness = brightness(red, green, blue);
                int at = row * (width / 2) + column;
                cb[at] = signed(128 + COLOUR_STEPS / 255 * (blue - brightness) / (2 * (1 - BLUE)));
                cr[at] = signed(128 + COLOUR_STEPS / 255 * (red - brightness) / (2 * (1 - RED)));
            }
        }
        return picture;
    }

    /** The inverse, colours repeated for their four pixels. */
    static RgbFrame toRgb(Picture picture) {
        int width = picture.getCroppedWidth();
        int height = picture.getCroppedHeight();
        byte[] rgb = new byte[3 * width * height];
        for (int row = 0; row < height; row++) {
            for (int column = 0; column < width; column++) {
                double y = picture.getPlaneData(0)[row * picture.getPlaneWidth(0) + column] + 128 - BLACK;
                int at = row / 2 * picture.getPlaneWidth(1) + column / 2;
                double brightness = y * 255 / BRIGHTNESS_STEPS;
                double blue = brightness + picture.getPlaneData(1)[at] * 255 / COLOUR_STEPS * 2 * (1 - BLUE);
                double red = brightness + picture.getPlaneData(2)[at] * 255 / COLOUR_STEPS * 2 * (1 - RED);
                double green = (brightness - RED * red - BLUE * blue) / GREEN;
                int to = 3 * (row * width + column);
                rgb[to] = unsigned(red);
                rgb[to + 1] = unsigned(green);
                rgb[to + 2] = unsigned(blue);
            }
        }
        return new RgbFrame(width, height, rgb);
    }

    private static int red(byte[] rgb, int pixel) {
        return rgb[3 * pixel] & 0xff;
    }

    private static int green(byte[] rgb, int pixel) {
        return rgb[3 * pixel + 1] & 0xff;
    }

    private static int blue(byte[] rgb, int pixel) {
        return rgb[3 * pixel + 2] & 0xff;
    }

    private static double brightness(double red, double green, double blue) {
        return RED * red + GREEN * green + BLUE * blue;
    }

    private static byte signed(double value) {
        return (byte) (Math.clamp(Math.round(value), 0, 255) - 128);
    }

    private static byte unsigned(double value) {
        return (byte) Math.clamp(Math.round(value), 0, 255);
    }
}
