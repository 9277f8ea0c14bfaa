package wan.app.terminal;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.op.WanException;

/** Events as JSON, one object per line, each beginning with {@code time} and {@code event}; appended to the file. */
public final class EventLog implements AutoCloseable {
    private final Path file;
    private final BufferedWriter out;

    /** Opens a file to add to. */
    public EventLog(Path file) {
        this.file = file;
        try {
            this.out = Files.newBufferedWriter(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw failure(file, e);
        }
    }

    /** The beginning of a line. */
    public static ObjectNode event(String name) {
        return JsonMapper.shared()
                .createObjectNode()
                .put("time", Instant.now().truncatedTo(ChronoUnit.MILLIS).toString())
                .put("event", name);
    }

    /** Adds a line. */
    public void add(ObjectNode event) {
        try {
            out.write(event + "\n");
            out.flush();
        } catch (IOException e) {
            throw failure(file, e);
        }
    }

    @Override
    public void close() {
        try {
            out.close();
        } catch (IOException e) {
            throw failure(file, e);
        }
    }

    private static WanException failure(Path file, IOException e) {
        return new WanException(file + ": cannot write: " + e.getMessage(), e);
    }
}
