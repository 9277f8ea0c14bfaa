package capture.figures;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import wan.file.OutputFile;
import wan.op.UsageException;

/** Figures as files: the format is what the name ends in. */
public final class FigureFile {
    /** The formats, for help and messages. */
    public static final String FORMATS = ".svg, .pdf or .png";

    /** Pixels per inch of a picture, unless somebody says otherwise. */
    public static final int DPI = 200;

    private FigureFile() {}

    /**
     * Checks a name before anything is computed.
     *
     * @param what names the file, for the message
     * @param file null where there is none to be written
     * @throws UsageException if the name ends in none of the formats
     */
    public static void check(String what, @Nullable Path file) {
        if (file != null && !name(file).matches(".*\\.(svg|pdf|png)")) {
            throw new UsageException(what + ": expected a name that ends in " + FORMATS + ", got " + file);
        }
    }

    /**
     * Writes a figure.
     *
     * @param dpi pixels per inch of a picture
     * @throws UsageException if the name ends in none of the formats
     */
    public static void write(Path file, Figure figure, int dpi) {
        check("figure", file);
        String name = name(file);
        byte[] bytes = name.endsWith(".svg")
                ? SvgFigure.write(figure).getBytes(StandardCharsets.UTF_8)
                : name.endsWith(".pdf") ? PdfFigure.write(figure) : PngFigure.write(figure, dpi);
        OutputFile.write(file, out -> out.write(bytes));
    }

    private static String name(Path file) {
        return file.toString().toLowerCase(Locale.ROOT);
    }
}
