package capture.figures;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.Deflater;

/** Pixels as a PNG file (RFC 2083), made in memory: Java's own writer needs a folder for temporary files. */
final class PngFile {
    private static final byte[] SIGNATURE = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    private static final double INCHES_PER_METRE = 1 / 0.0254;
    private static final byte UP = 2;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    private PngFile() {}

    /**
     * The file's bytes.
     *
     * @param pixels 0xRRGGBB, row by row from the top, [height, width]
     * @param dpi pixels per inch
     */
    static byte[] of(int[] pixels, int width, int height, int dpi) {
        PngFile file = new PngFile();
        file.out.writeBytes(SIGNATURE);
        file.chunk(
                "IHDR",
                ByteBuffer.allocate(13)
                        .putInt(width)
                        .putInt(height)
                        .put(new byte[] {8, 2, 0, 0, 0}) // 8 bits, RGB, deflate, filters, not interlaced
                        .array());
        int perMetre = (int) Math.round(dpi * INCHES_PER_METRE);
        file.chunk(
                "pHYs",
                ByteBuffer.allocate(9)
                        .putInt(perMetre)
                        .putInt(perMetre)
                        .put((byte) 1)
                        .array());
        file.chunk("tEXt", "Software\0wan-attn".getBytes(StandardCharsets.ISO_8859_1));
        file.chunk("IDAT", deflated(pixels, width, height));
        file.chunk("IEND", new byte[0]);
        return file.out.toByteArray();
    }

    /** Each row as its difference from the one above, which in figures is mostly zero. */
    private static byte[] deflated(int[] pixels, int width, int height) {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        byte[] row = new byte[1 + 3 * width];
        row[0] = UP;
        byte[] buffer = new byte[1 << 16];
        try (Deflater deflater = new Deflater()) {
            for (int y = 0; y < height; y++) {
                for (int x = 0; x < width; x++) {
                    int pixel = pixels[y * width + x];
                    int above = y == 0 ? 0 : pixels[(y - 1) * width + x];
                    row[1 + 3 * x] = (byte) ((pixel >> 16) - (above >> 16));
                    row[2 + 3 * x] = (byte) ((pixel >> 8) - (above >> 8));
                    row[3 + 3 * x] = (byte) (pixel - above);
                }
                deflater.setInput(row);
                if (y == height - 1) {
                    deflater.finish();
                }
                while (!deflater.needsInput() || (y == height - 1 && !deflater.finished())) {
                    packed.write(buffer, 0, deflater.deflate(buffer));
                }
            }
        }
        return packed.toByteArray();
    }

    private void chunk(String type, byte[] data) {
        byte[] name = type.getBytes(StandardCharsets.US_ASCII);
        CRC32 crc = new CRC32();
        crc.update(name);
        crc.update(data);
        out.writeBytes(ByteBuffer.allocate(Integer.BYTES).putInt(data.length).array());
        out.writeBytes(name);
        out.writeBytes(data);
        out.writeBytes(
                ByteBuffer.allocate(Integer.BYTES).putInt((int) crc.getValue()).array());
    }
}
