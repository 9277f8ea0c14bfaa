package wan.sweep;

import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Properties;
import org.jspecify.annotations.Nullable;
import wan.file.Messages;
import wan.file.TemporaryFile;
import wan.op.WanException;

/**
 * The database DuckDB, running inside this process and in memory. It only writes and reads the tables of sweeps, so its jar is not part of the
 * program but lies beside it: 85 MB with the native libraries of all systems.
 *
 * <p>It is looked for on the class path, in the file that the system property {@value #PROPERTY} names, and in the folder {@code duckdb} beside our
 * jar.
 */
public final class DuckDb implements AutoCloseable {
    private static final String PROPERTY = "wan.duckdb.jar";
    private static final String DRIVER = "org.duckdb.DuckDBDriver";
    private static final String HOW_TO = "mvn -Pduckdb -DskipTests package puts it into the folder duckdb beside"
            + " wan-attn.jar; or name a duckdb_jdbc jar with WAN_ATTN_JAVA_OPTS=-D" + PROPERTY + "=FILE";

    private static @Nullable Driver driver;

    private final Connection connection;

    private DuckDb(Connection connection) {
        this.connection = connection;
    }

    /** Whether DuckDB is installed. */
    public static boolean isThere() {
        return driver() != null;
    }

    /**
     * Opens an empty database.
     *
     * @throws WanException if DuckDB is not installed; the message says how to install it
     */
    public static DuckDb open() {
        Driver found = driver();
        if (found == null) {
            throw new WanException("DuckDB is not there; " + HOW_TO);
        }
        try {
            return new DuckDb(found.connect("jdbc:duckdb:", new Properties()));
        } catch (SQLException e) {
            throw new WanException("DuckDB: cannot open: " + e.getMessage(), e);
        }
    }

    private static synchronized @Nullable Driver driver() {
        if (driver == null) {
            driver = find();
        }
        return driver;
    }

    @SuppressWarnings("resource") // classes are loaded from it as long as the program runs
    private static @Nullable Driver find() {
        Driver onPath = load(DuckDb.class.getClassLoader());
        if (onPath != null) {
            return onPath;
        }
        Path jar = jar();
        try {
            return jar == null
                    ? null
                    : load(new URLClassLoader(new URL[] {jar.toUri().toURL()}, DuckDb.class.getClassLoader()));
        } catch (MalformedURLException e) {
            return null;
        }
    }

    private static @Nullable Path jar() {
        String named = System.getProperty(PROPERTY);
        if (named != null) {
            return Path.of(named);
        }
        try {
            Path own = Path.of(DuckDb.class
                    .getProtectionDomain()
                    .getCodeSource()
                    .getLocation()
                    .toURI());
            Path beside = own.resolveSibling("duckdb").resolve("duckdb_jdbc.jar");
            return Files.isRegularFile(beside) ? beside : null;
        } catch (URISyntaxException e) {
            return null;
        }
    }

    private static @Nullable Driver load(ClassLoader loader) {
        try {
            return Class.forName(DRIVER, true, loader)
                    .asSubclass(Driver.class)
                    .getDeclaredConstructor()
                    .newInstance();
        } catch (ReflectiveOperationException | ClassCastException | LinkageError e) {
            return null;
        }
    }

    /** Executes SQL statements. */
    void run(List<String> statements) {
        try (Statement statement = connection.createStatement()) {
            for (String sql : statements) {
                boolean _ = statement.execute(sql);
            }
        } catch (SQLException e) {
            throw failure(e);
        }
    }

    /**
     * Writes the result of a query as a Parquet file, which replaces an existing file once it is complete.
     *
     * @throws IOException if the file cannot be moved into place
     */
    void writeParquet(String query, Path file) throws IOException {
        Path made = Files.createTempFile(
                file.toAbsolutePath().getParent(), file.getFileName().toString(), ".tmp");
        try {
            Files.delete(made); // made anew by the database, for whoever may read its other files
            run(List.of("COPY (" + query + ") TO " + quoted(made) + " (FORMAT parquet, COMPRESSION zstd)"));
            TemporaryFile.move(made, file);
        } finally {
            Files.deleteIfExists(made);
        }
    }

    /**
     * Writes comma-separated values as a Parquet file; types of columns are detected.
     *
     * @param csv its first row has the names of the columns
     * @throws WanException if DuckDB is not installed, or the file cannot be written
     */
    public static void csvToParquet(String csv, Path file) {
        try (DuckDb database = open()) {
            Path rows = Files.createTempFile(
                    file.toAbsolutePath().getParent(), file.getFileName().toString(), ".csv.tmp");
            try {
                Files.writeString(rows, csv);
                database.writeParquet(
                        "SELECT * FROM read_csv(" + quoted(rows) + ", header = true, sample_size = -1)", file);
            } finally {
                Files.deleteIfExists(rows);
            }
        } catch (IOException e) {
            throw Messages.io(file, "cannot write", e);
        }
    }

    /** The connection, for queries. */
    public Connection connection() {
        return connection;
    }

    /** DuckDB's error message, on one line. */
    public static WanException failure(SQLException e) {
        return new WanException(
                "DuckDB: " + String.valueOf(e.getMessage()).strip().replaceAll("\\s*\\R\\s*", " "), e);
    }

    /** A string literal in SQL. */
    static String quoted(Object text) {
        return "'" + text.toString().replace("'", "''") + "'";
    }

    @Override
    public void close() {
        try {
            connection.close();
        } catch (SQLException e) {
            throw failure(e);
        }
    }
}
