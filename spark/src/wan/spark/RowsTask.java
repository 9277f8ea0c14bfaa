package wan.spark;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.apache.spark.api.java.function.Function;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.util.SerializableConfiguration;
import wan.sweep.Attempts;
import wan.sweep.Dataset;
import wan.sweep.SweepState;

/**
 * The rows of a table that a result gives.
 *
 * @param out where the sweep is
 */
record RowsTask(String out, Dataset.Part part, Broadcast<SerializableConfiguration> hadoop)
        implements Function<String, byte[]> {
    @Override
    public byte[] call(String id) throws IOException {
        HadoopStore store = new HadoopStore(out, hadoop.value().value());
        try (Scratch scratch = Scratch.make()) {
            Path file = scratch.folder().resolve(Attempts.result(id));
            store.get(SweepState.result(id), file);
            ByteArrayOutputStream rows = new ByteArrayOutputStream();
            try (Writer text = new OutputStreamWriter(rows, StandardCharsets.UTF_8)) {
                part.write(id, file, text);
            }
            return rows.toByteArray();
        }
    }
}
