package wan.sweep;

import java.io.IOException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A table of a sweep's dataset.
 *
 * @param name file name without the extension
 * @param columns the columns, in order
 */
record Table(String name, List<Column> columns) {
    /** Copies the list. */
    Table {
        columns = List.copyOf(columns);
    }

    /** The type of a column. Any column may contain null, and NaN is stored as null. */
    enum Type {
        /** Text. */
        TEXT,
        /** 32 bits. */
        INT,
        /** 64 bits. */
        LONG,
        /** float32. */
        FLOAT,
        /** float64. */
        REAL
    }

    /** A column. */
    record Column(String name, Type type) {}

    /** Receives the rows of a table. */
    interface Rows {
        /** Adds a row: a String, Integer, Long, Float, Double or null for each column. */
        void add(@Nullable Object... values) throws IOException;
    }
}
