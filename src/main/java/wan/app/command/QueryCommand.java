package wan.app.command;

import java.io.PrintStream;
import java.nio.file.Path;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.app.guard.Reads;
import wan.sweep.Dataset;
import wan.sweep.DuckDb;
import wan.sweep.SweepFolder;

/** {@code wan-attn query}: SQL over the tables of a sweep. */
@Command(
        name = "query",
        description = {
            "Runs an SQL query on the tables of a sweep: runs, heads and, if written, frames.",
            "",
            "The tables are Parquet files in DIR/dataset; --update rewrites them. Needs DuckDB beside the"
                    + " program: mvn -Pduckdb -DskipTests package."
        },
        footer = {
            "",
            "Examples:",
            "  wan-attn query heads \"SELECT state, count(*) FROM runs GROUP BY state\"",
            "  wan-attn query heads \"SELECT layer, head, avg(sink_score) AS sink,",
            "      stddev(sink_score) AS sd FROM heads WHERE pass = 'step0'",
            "      GROUP BY ALL ORDER BY sink DESC LIMIT 10\"",
            "  wan-attn query heads \"DESCRIBE heads\" --format csv"
        })
public final class QueryCommand implements Callable<Integer> {
    private enum Format {
        TABLE,
        CSV,
        JSON
    }

    @Reads
    @Parameters(index = "0", paramLabel = "DIR", description = "The folder of a sweep.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path folder;

    @Parameters(
            index = "1",
            paramLabel = "SQL",
            arity = "0..1",
            description = "A query in DuckDB's SQL (default: the number of runs in each state).")
    private String sql =
            "SELECT state, count(*) AS runs, sum(seconds) AS seconds FROM runs GROUP BY state ORDER BY state";

    @Option(
            names = "--format",
            paramLabel = "FORMAT",
            description = "Output format: table, csv, or json with one object per line (default: table).")
    private Format format = Format.TABLE;

    @Option(names = "--update", description = "First rewrite the tables from the results that exist now.")
    private boolean update;

    @Option(
            names = "--frames",
            description = "With --update: also write the table frames, with one row per head and pair of frames.")
    private boolean frames;

    @Override
    public Integer call() {
        SweepFolder sweep = SweepFolder.open(folder);
        if (update || !Dataset.has(sweep, "runs")) {
            List<Path> _ = Dataset.write(sweep, frames || Dataset.has(sweep, "frames"));
        }
        try (DuckDb database = Dataset.open(sweep);
                Statement statement = database.connection().createStatement();
                ResultSet rows = statement.executeQuery(sql)) {
            print(System.out, rows);
            return 0;
        } catch (SQLException e) {
            throw DuckDb.failure(e);
        }
    }

    private void print(PrintStream out, ResultSet rows) throws SQLException {
        ResultSetMetaData columns = rows.getMetaData();
        List<String> names = new ArrayList<>();
        for (int c = 1; c <= columns.getColumnCount(); c++) {
            names.add(columns.getColumnLabel(c));
        }
        switch (format) {
            case CSV -> {
                out.println(
                        String.join(",", names.stream().map(QueryCommand::csv).toList()));
                while (rows.next()) {
                    List<String> cells = new ArrayList<>();
                    for (int c = 1; c <= names.size(); c++) {
                        cells.add(csv(rows.getString(c)));
                    }
                    out.println(String.join(",", cells));
                }
            }
            case JSON -> {
                while (rows.next()) {
                    ObjectNode row = JsonMapper.shared().createObjectNode();
                    for (int c = 1; c <= names.size(); c++) {
                        Object value = rows.getObject(c);
                        switch (value) {
                            case null -> row.putNull(names.get(c - 1));
                            case Number number -> row.putPOJO(names.get(c - 1), number);
                            case Boolean flag -> row.put(names.get(c - 1), flag);
                            default -> row.put(names.get(c - 1), value.toString());
                        }
                    }
                    out.println(row);
                }
            }
            case TABLE -> table(out, names, rows);
        }
    }

    private static void table(PrintStream out, List<String> names, ResultSet rows) throws SQLException {
        List<List<String>> lines = new ArrayList<>(List.of(names));
        while (rows.next()) {
            List<String> cells = new ArrayList<>();
            for (int c = 1; c <= names.size(); c++) {
                Object value = rows.getObject(c);
                cells.add(
                        value instanceof Double || value instanceof Float
                                ? String.format(Locale.ROOT, "%.6g", ((Number) value).doubleValue())
                                : value == null ? "-" : value.toString().replaceAll("\\s*\\R\\s*", " "));
            }
            lines.add(cells);
        }
        int[] widths = new int[names.size()];
        for (List<String> line : lines) {
            for (int c = 0; c < widths.length; c++) {
                widths[c] = Math.max(widths[c], line.get(c).length());
            }
        }
        for (List<String> line : lines) {
            StringBuilder text = new StringBuilder();
            for (int c = 0; c < widths.length; c++) {
                String cell = line.get(c);
                text.append(c == 0 ? "" : "  ").append(cell).append(" ".repeat(widths[c] - cell.length()));
            }
            out.println(text.toString().stripTrailing());
        }
    }

    private static String csv(@Nullable String cell) {
        String text = cell == null ? "" : cell;
        return text.matches("[^\",\\r\\n]*") ? text : "\"" + text.replace("\"", "\"\"") + "\"";
    }
}
