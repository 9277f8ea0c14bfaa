package capture;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import wan.op.UsageException;
import wan.pass.Pass;

/**
 * A box of query tokens in one frame, whose attention is captured for every key token.
 *
 * @param frame absolute latent frame
 * @param row first row of its grid of tokens, half as many as those of a latent frame
 * @param column first column
 * @param rows of the box
 * @param columns of the box
 */
public record QueryRegion(int frame, int row, int column, int rows, int columns) {
    private static final Pattern FORM =
            Pattern.compile("(\\d{1,6}),(\\d{1,6})(?:-(\\d{1,6}))?,(\\d{1,6})(?:-(\\d{1,6}))?");

    /** Refuses negative positions and empty boxes. */
    public QueryRegion {
        if (frame < 0 || row < 0 || column < 0 || rows < 1 || columns < 1) {
            throw new UsageException(
                    "capture.queries: expected a frame, row and column from 0 and a box of at least one"
                            + " token, got frame " + frame + ", row " + row + ", column " + column + ", " + rows
                            + " by "
                            + columns);
        }
    }

    /**
     * Parses {@code FRAME,ROW,COLUMN} or a box such as {@code 3,2-5,4-7}.
     *
     * @throws UsageException if it has another form
     */
    public static QueryRegion parse(String text) {
        Matcher m = FORM.matcher(text.strip());
        if (!m.matches()) {
            throw new UsageException(
                    "capture.queries: expected FRAME,ROW,COLUMN or a box such as 3,2-5,4-7, got \"" + text + "\"");
        }
        int row = Integer.parseInt(m.group(2));
        int column = Integer.parseInt(m.group(4));
        return new QueryRegion(
                Integer.parseInt(m.group(1)),
                row,
                column,
                last(m.group(3), row) - row + 1,
                last(m.group(5), column) - column + 1);
    }

    private static int last(@Nullable String text, int first) {
        return text == null ? first : Integer.parseInt(text);
    }

    /** Whether the box is captured in a pass: its frame is in the pass, and the pass is not block-causal. */
    public boolean in(Pass pass) {
        return pass.causalFrames() == 0 && frame >= pass.firstFrame() && frame < pass.firstFrame() + pass.frames();
    }

    /**
     * Its queries in a pass, ascending.
     *
     * @param gridColumns tokens of a row
     * @param frameTokens tokens of a frame
     */
    public int[] queries(Pass pass, int gridColumns, int frameTokens) {
        List<Integer> queries = new ArrayList<>();
        for (int r = row; r < row + rows; r++) {
            for (int c = column; c < column + columns; c++) {
                queries.add((frame - pass.firstFrame()) * frameTokens + r * gridColumns + c);
            }
        }
        return queries.stream().mapToInt(Integer::intValue).toArray();
    }

    /**
     * Checks that it lies in the video.
     *
     * @throws UsageException if it does not
     */
    public void check(int frames, int gridRows, int gridColumns) {
        if (frame >= frames || row + rows > gridRows || column + columns > gridColumns) {
            throw new UsageException("capture.queries: expected frames below " + frames + ", rows below " + gridRows
                    + " and columns below " + gridColumns + " (of the grid of tokens), got " + this);
        }
    }

    /** As {@link #parse} reads it. */
    @Override
    public String toString() {
        return frame + "," + range(row, rows) + "," + range(column, columns);
    }

    private static String range(int first, int count) {
        return count == 1 ? "" + first : first + "-" + (first + count - 1);
    }
}
