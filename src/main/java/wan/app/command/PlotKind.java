package wan.app.command;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import wan.op.UsageException;

/** The figures that {@code plot} draws; its help says what each of them is. */
enum PlotKind {
    HEADS,
    BARS,
    LINES,
    MOSAIC,
    MEASURE,
    PASSES,
    PASS_LINES,
    TOKENS,
    TOKEN_MATRIX,
    PROMPT,
    OVERLAY;

    static PlotKind parse(String name) {
        return Arrays.stream(values())
                .filter(kind -> kind.id().equals(name))
                .findFirst()
                .orElseThrow(() -> new UsageException("--kind: expected "
                        + Arrays.stream(values()).map(PlotKind::id).collect(Collectors.joining(", ")) + ", got "
                        + name));
    }

    String id() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /** Whether several runs make no sense of it. */
    boolean ofOneRun() {
        return this == TOKENS || this == TOKEN_MATRIX || this == PROMPT || this == OVERLAY;
    }

    /** Whether its numbers are frame logits or mass of self-attention. */
    boolean ofFrames() {
        return !ofOneRun();
    }
}
