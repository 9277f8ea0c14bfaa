package wan.app.command;

import capture.figures.Figure;
import capture.figures.PngFigure;
import capture.figures.SvgFigure;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import wan.file.OutputFile;
import wan.op.UsageException;

/** A figure as a file, in the format that its name ends in. */
final class FigureFile {
    /** Pixels per inch, where no option says them. */
    static final int DPI = 200;

    private FigureFile() {}

    /**
     * Checks a name before anything is computed.
     *
     * @param file null where the option was not given
     */
    static void check(String option, @Nullable Path file) {
        if (file != null && !isPng(file) && !name(file).endsWith(".svg")) {
            throw new UsageException(option + ": expected a name that ends in .svg or .png, got " + file);
        }
    }

    /** @param dpi pixels per inch of a .png */
    static void write(Path file, Figure figure, int dpi) {
        byte[] bytes = isPng(file)
                ? PngFigure.write(figure, dpi)
                : SvgFigure.write(figure).getBytes(StandardCharsets.UTF_8);
        OutputFile.write(file, out -> out.write(bytes));
    }

    private static boolean isPng(Path file) {
        return name(file).endsWith(".png");
    }

    private static String name(Path file) {
        return file.toString().toLowerCase(Locale.ROOT);
    }
}
