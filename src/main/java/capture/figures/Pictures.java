package capture.figures;

import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Base64;
import java.util.List;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;
import wan.op.WanException;

/** Frames of a video in figures and reports. */
public final class Pictures {
    private static final float QUALITY = 0.8f;
    /** Of the strongest colour of a map; less of the weaker ones, so that the frame shows where nothing stands out. */
    private static final double OPACITY = 0.8;

    private Pictures() {}

    /** A JPEG that a page can hold. */
    static String dataUri(BufferedImage image) {
        return "data:image/jpeg;base64," + Base64.getEncoder().encodeToString(jpeg(image));
    }

    /** A PNG that a page can hold: every pixel as it is. */
    static String exactDataUri(BufferedImage image) {
        int width = image.getWidth();
        int[] pixels = image.getRGB(0, 0, width, image.getHeight(), null, 0, width);
        byte[] png = PngFile.of(pixels, width, image.getHeight(), FigureFile.DPI);
        return "data:image/png;base64," + Base64.getEncoder().encodeToString(png);
    }

    static byte[] jpeg(BufferedImage image) {
        ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ImageOutputStream out = ImageIO.createImageOutputStream(bytes)) {
            ImageWriteParam quality = writer.getDefaultWriteParam();
            quality.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
            quality.setCompressionQuality(QUALITY);
            writer.setOutput(out);
            writer.write(null, new IIOImage(scaled(image, image.getWidth()), List.of(), null), quality);
        } catch (IOException e) {
            throw new WanException("JPEG: " + e.getMessage(), e);
        } finally {
            writer.dispose();
        }
        return bytes.toByteArray();
    }

    /** A copy without transparency, of this width and the same shape. */
    public static BufferedImage scaled(BufferedImage image, int width) {
        int height = Math.max(1, Math.round((float) width * image.getHeight() / image.getWidth()));
        BufferedImage out = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        Graphics2D graphics = out.createGraphics();
        graphics.setRenderingHint(RenderingHints.KEY_INTERPOLATION, RenderingHints.VALUE_INTERPOLATION_BILINEAR);
        graphics.drawImage(image, 0, 0, width, height, null);
        graphics.dispose();
        return out;
    }

    /**
     * A map of tokens over a frame: the frame in grey, coloured the more the further a value is from the middle of the scale.
     *
     * @param values [rows, cols], from index {@code at} on, first row at the top; NaN leaves the frame as it is
     */
    public static BufferedImage overlay(
            BufferedImage frame, int rows, int cols, double[] values, int at, ColourScale scale) {
        int width = frame.getWidth();
        int height = frame.getHeight();
        int[] pixels = frame.getRGB(0, 0, width, height, null, 0, width);
        int[] colours = new int[rows * cols];
        double[] opacities = new double[rows * cols];
        for (int i = 0; i < colours.length; i++) {
            double value = values[at + i];
            String colour = scale.colour(value);
            colours[i] = colour == null ? 0 : Integer.decode(colour);
            opacities[i] = colour == null
                    ? 0
                    : Double.isFinite(value) ? OPACITY * Math.min(1, Math.abs(value) / scale.limit()) : 1;
        }
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int token = y * rows / height * cols + x * cols / width;
                int pixel = pixels[y * width + x];
                double grey = 0.299 * (pixel >> 16 & 0xff) + 0.587 * (pixel >> 8 & 0xff) + 0.114 * (pixel & 0xff);
                int blended = 0;
                for (int shift = 16; shift >= 0; shift -= 8) {
                    double colour = colours[token] >> shift & 0xff;
                    blended |= (int) Math.round(grey + opacities[token] * (colour - grey)) << shift;
                }
                pixels[y * width + x] = blended;
            }
        }
        BufferedImage out = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
        out.setRGB(0, 0, width, height, pixels, 0, width);
        return out;
    }
}
