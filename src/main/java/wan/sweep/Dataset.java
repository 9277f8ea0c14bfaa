package wan.sweep;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import wan.file.Messages;

/** The tables of a sweep as Parquet files: {@code dataset/runs.parquet}, {@code heads.parquet} and, if asked for, {@code frames.parquet}. */
public final class Dataset {
    private static final List<String> NAMES = List.of("runs", "heads", "frames");

    private Dataset() {}

    /**
     * Writes the tables anew from the results that are there; each file is replaced when it is whole.
     *
     * @param frames whether to write that table too, which has a row for each pair of frames of each head and pass
     * @return the files
     * @throws wan.op.WanException if DuckDB is not there
     */
    public static List<Path> write(SweepFolder folder, boolean frames) {
        SweepTables tables = new SweepTables(folder);
        List<Path> files = new ArrayList<>();
        try (DuckDb database = DuckDb.open()) {
            Files.createDirectories(folder.dataset());
            files.add(write(database, folder, tables.runs(), tables::runs));
            files.add(write(database, folder, tables.heads(), tables::heads));
            if (frames) {
                files.add(write(database, folder, tables.frames(), tables::frames));
            }
        } catch (IOException e) {
            throw Messages.io(folder.dataset(), "cannot write", e);
        }
        return files;
    }

    private static Path write(DuckDb database, SweepFolder folder, Table table, Consumer<Table.Rows> fill)
            throws IOException {
        Path file = folder.dataset().resolve(table.name() + ".parquet");
        Path rows = Files.createTempFile(folder.dataset(), table.name(), ".csv.tmp");
        try {
            try (BufferedWriter out = Files.newBufferedWriter(rows)) {
                fill.accept(values -> line(out, rows, values));
            }
            String query = "SELECT * FROM read_csv(" + DuckDb.quoted(rows)
                    + ", header = false, delim = ',', quote = '\"', escape = '\"', nullstr = '', parallel = "
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

    private static void line(BufferedWriter out, Path file, @Nullable Object[] values) {
        try {
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
        } catch (IOException e) {
            throw Messages.io(file, "cannot write", e);
        }
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
