package wan.sweep;

import capture.analysis.SavedResult;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import wan.file.Messages;

/** The tables of a sweep as Parquet files: {@code dataset/runs.parquet}, {@code heads.parquet} and, if asked for, {@code frames.parquet}. */
public final class Dataset {
    private static final List<String> NAMES = List.of("runs", "heads", "frames");

    private Dataset() {}

    /** The tables that are computed from results. */
    public enum Part {
        /** One row per head and pass; measures use the queries of the last frame block. */
        HEADS,
        /** One row per pair of frames that a captured pass attended. */
        FRAMES;

        private Table table() {
            return switch (this) {
                case HEADS -> SweepTables.heads();
                case FRAMES -> SweepTables.frames();
            };
        }

        /**
         * Writes the rows of one result as comma-separated values.
         *
         * @param run the id of the run
         */
        public void write(String run, Path result, Writer out) throws IOException {
            try (SavedResult opened = SavedResult.open(result)) {
                Table.Rows rows = values -> line(out, values);
                switch (this) {
                    case HEADS -> SweepTables.heads(run, opened, rows);
                    case FRAMES -> SweepTables.frames(run, opened, rows);
                }
            }
        }
    }

    /** The source of the rows. */
    public interface Source {
        /** Whether the result of a run exists. */
        boolean isDone(String id);

        /** The record of how a run went; null if there is none. */
        @Nullable
        RunRecord how(String id);

        /** Writes the rows that {@link Part#write} makes of each existing result, in the order of the runs. */
        void write(Part part, Writer out) throws IOException;
    }

    /** Reads the results of a folder one after the other. */
    private static final class FolderSource implements Source {
        private final SweepFolder folder;
        private final Set<String> done;
        private final Set<String> recorded;

        FolderSource(SweepFolder folder) {
            this.folder = folder;
            this.done = folder.done();
            this.recorded = folder.state().recorded();
        }

        @Override
        public boolean isDone(String id) {
            return done.contains(id);
        }

        @Override
        public @Nullable RunRecord how(String id) {
            return recorded.contains(id) ? folder.state().how(id) : null;
        }

        @Override
        public void write(Part part, Writer out) throws IOException {
            for (SweepRun run : folder.runs()) {
                if (done.contains(run.id())) {
                    part.write(run.id(), folder.result(run.id()), out);
                }
            }
        }
    }

    /**
     * Rewrites the tables of a folder from the existing results; each file is replaced once the new one is complete.
     *
     * @param frames whether to write the table of frame pairs too, which has one row per pair of frames, head and pass
     * @return the files that were written
     * @throws wan.op.WanException if DuckDB is not installed
     */
    public static List<Path> write(SweepFolder folder, boolean frames) {
        return write(folder.dataset(), folder.state(), new FolderSource(folder), frames);
    }

    /**
     * Writes the tables from any source of rows.
     *
     * @param folder the folder for the files
     * @return the files that were written
     * @throws wan.op.WanException if DuckDB is not installed
     */
    public static List<Path> write(Path folder, SweepState state, Source source, boolean frames) {
        List<Path> files = new ArrayList<>();
        try (DuckDb database = DuckDb.open()) {
            Files.createDirectories(folder);
            files.add(write(database, folder, SweepTables.runs(state.sweep()), out -> {
                for (SweepRun run : state.runs()) {
                    SweepTables.run(run, source.isDone(run.id()), source.how(run.id()), values -> line(out, values));
                }
            }));
            files.add(write(database, folder, Part.HEADS.table(), out -> source.write(Part.HEADS, out)));
            if (frames) {
                files.add(write(database, folder, Part.FRAMES.table(), out -> source.write(Part.FRAMES, out)));
            }
        } catch (IOException e) {
            throw Messages.io(folder, "cannot write", e);
        }
        return files;
    }

    /** Writes the rows of a table. */
    private interface Rows {
        void to(Writer out) throws IOException;
    }

    private static Path write(DuckDb database, Path folder, Table table, Rows fill) throws IOException {
        Path file = folder.resolve(table.name() + ".parquet");
        Path rows = Files.createTempFile(folder, table.name(), ".csv.tmp");
        try {
            try (BufferedWriter out = Files.newBufferedWriter(rows)) {
                fill.to(out);
            }
            String query = "SELECT * FROM read_csv(" + DuckDb.quoted(rows)
                    + ", auto_detect = false, header = false, delim = ',', quote = '\"', escape = '\"', nullstr = '', parallel = "
                    // A prompt may have several lines.
                    + !table.name().equals("runs") + ", strict_mode = true, max_line_size = 100000000, columns = {"
                    + table.columns().stream()
                            .map(column -> DuckDb.quoted(column.name()) + ": " + DuckDb.quoted(type(column.type())))
                            .collect(Collectors.joining(", "))
                    + "})";
            database.writeParquet(query, file);
            return file;
        } finally {
            Files.deleteIfExists(rows);
        }
    }

    private static String type(Table.Type type) {
        return switch (type) {
            case TEXT -> "VARCHAR";
            case INT -> "INTEGER";
            case LONG -> "BIGINT";
            case FLOAT -> "FLOAT";
            case REAL -> "DOUBLE";
        };
    }

    private static void line(Writer out, @Nullable Object[] values) throws IOException {
        for (int i = 0; i < values.length; i++) {
            Object value = values[i];
            if (i > 0) {
                out.write(',');
            }
            if (value instanceof String text) {
                out.write('"');
                out.write(text.replace("\"", "\"\""));
                out.write('"');
            } else if (value != null) {
                out.write(value.toString());
            }
        }
        out.write('\n');
    }

    /**
     * Opens a database in which each existing table is a view with the table's name.
     *
     * @throws wan.op.WanException if DuckDB is not installed
     */
    public static DuckDb open(SweepFolder folder) {
        DuckDb database = DuckDb.open();
        List<String> views = new ArrayList<>();
        for (String name : NAMES) {
            Path file = folder.dataset().resolve(name + ".parquet");
            if (Files.exists(file)) {
                views.add("CREATE VIEW " + name + " AS SELECT * FROM read_parquet(" + DuckDb.quoted(file) + ")");
            }
        }
        database.run(views);
        return database;
    }

    /** Whether the file of a table exists. */
    public static boolean has(SweepFolder folder, String name) {
        return Files.exists(folder.dataset().resolve(name + ".parquet"));
    }
}
