package wan.app.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import tools.jackson.databind.json.JsonMapper;
import wan.jvm.vector.FmaCeiling;
import wan.op.UsageException;

/** Measures what another program asks for, so that it can take turns with others: {@code bench/compare}. */
public final class BenchServer implements AutoCloseable {
    private final List<BenchCase> cases;
    private final FmaCeiling ceiling;
    private final double warmSeconds;
    /** What was asked for stays warm, in the order in which it was opened. */
    private final SequencedMap<BenchCase, BenchCase.Prepared> open = new LinkedHashMap<>();

    public BenchServer(List<BenchCase> cases, FmaCeiling ceiling, double warmSeconds) {
        this.cases = cases;
        this.ceiling = ceiling;
        this.warmSeconds = warmSeconds;
    }

    /**
     * Answers lines of the form {@code SECONDS OP SHAPE}, each with one line of JSON, until there are no more. What they name stays
     * in memory until an empty line, which has no answer.
     */
    public void serve(BufferedReader in, PrintWriter out) {
        try {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                if (line.isEmpty()) {
                    close();
                    continue;
                }
                out.println(answer(line).fill(JsonMapper.shared().createObjectNode()));
                out.flush();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private BenchRow answer(String line) {
        String[] parts = line.split(" ", 2);
        double seconds;
        try {
            seconds = Double.parseDouble(parts[0]);
        } catch (NumberFormatException e) {
            throw new UsageException("bench --serve: expected SECONDS OP SHAPE, got " + line);
        }
        for (BenchCase asked : cases) {
            if (parts.length == 2 && parts[1].equals(asked.op() + " " + asked.shape())) {
                return BenchRow.measure(asked, warm(asked), ceiling, seconds, 1);
            }
        }
        throw new UsageException("bench --serve: no case of these sizes is called so: " + line);
    }

    private BenchCase.Prepared warm(BenchCase asked) {
        BenchCase.Prepared present = open.get(asked);
        if (present == null) {
            present = asked.prepare().get();
            open.put(asked, present);
            BenchRow.warm(present, warmSeconds);
        }
        return present;
    }

    /** Frees all operands. */
    @Override
    public void close() {
        while (!open.isEmpty()) {
            open.pollLastEntry().getValue().close();
        }
    }
}
