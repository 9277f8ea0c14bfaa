package wan.sweep;

import capture.analysis.RunResult;
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

    /** The tables that are made of results. */
    public enum Part {
        /** A row for each head, in each pass of the frame blocks, seen from the last frame block's queries. */
        HEADS,
        /** A row for each pair of frames that a captured pass attended. */
        FRAMES;

        private Table table() {
            return switch (this) {
                case HEADS -> SweepTables.heads();
                case FRAMES -> SweepTables.frames();
            };
        }

        /**
         * Writes the rows of one result, comma-separated.
         *
         * @param run its id
         */
        public void write(String run, Path result, Writer out) throws IOException {
            try (RunResult opened = RunResult.open(result)) {
                Table.Rows rows = values -> line(out, values);
                switch (this) {
                    case HEADS -> SweepTables.heads(run, opened, rows);
                    case FRAMES -> SweepTables.frames(run, opened, rows);
                }
            }
        }
    }

    /** Where the rows come from. */
    public interface Source {
        /** Whether the result of a run is there. */
        boolean isDone(String id);

        /** What is known of how a run went; null for nothing. */
        @Nullable
        RunRecord how(String id);

        /** Writes what {@link Part#write} gives for each result that is there, in the order of the runs. */
        void write(Part part, Writer out) throws IOException;
    }

    /** The results of a folder, one after the other. */
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
     * Writes the tables of a folder anew from the results that are there; each file is replaced when it is whole.
     *
     * @param frames whether to write that table too, which has a row for each pair of frames of each head and pass
     * @return the files
     * @throws wan.op.WanException if DuckDB is not there
     */
    public static List<Path> write(SweepFolder folder, boolean frames) {
        return write(folder.dataset(), folder.state(), new FolderSource(folder), frames);
    }

    /**
     * Writes the tables from wherever their rows are.
     *
     * @param folder of the files
     * @return the files
     * @throws wan.op.WanException if DuckDB is not there
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
     * A database with the tables that are there as views of their names.
     *
     * @throws wan.op.WanException if DuckDB is not there
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

    /** Whether there is such a table. */
    public static boolean has(SweepFolder folder, String name) {
        return Files.exists(folder.dataset().resolve(name + ".parquet"));
    }
}
