package capture.analysis;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import wan.op.Quantity;
import wan.op.WanException;

/**
 * The data of a figure: one run, or several runs of the same shape combined. Of many runs only some stay open; the others are opened
 * again each time.
 */
public final class RunGroup implements AutoCloseable {
    private static final int MOST_OPEN = 64;

    private final List<Path> files;
    private final Function<Path, SavedResult> open;
    private final Merge merge;
    private final List<SavedResult> kept = new ArrayList<>();

    /**
     * Opens the runs, and checks that they go together.
     *
     * @param files at least one; their frames, layers and heads are the same
     * @param open opens one
     * @param merge how their numbers become one
     * @throws wan.op.UsageException if their number does not go with the way
     * @throws WanException if they differ in frames, layers or heads
     */
    public RunGroup(List<Path> files, Function<Path, SavedResult> open, Merge merge) {
        this.files = List.copyOf(files);
        this.open = open;
        this.merge = merge;
        merge.requireRuns(files.size());
        try {
            for (Path file : files) {
                SavedResult run = open.apply(file);
                if (kept.size() < MOST_OPEN) {
                    kept.add(run);
                    requireShape(run);
                } else {
                    try (run) {
                        requireShape(run);
                    }
                }
            }
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private void requireShape(SavedResult run) {
        RunInfo first = first().info();
        RunInfo info = run.info();
        if (info.frames() != first.frames()
                || !info.layers().equals(first.layers())
                || !info.heads().equals(first.heads())) {
            throw WanException.mismatch(
                    run.path().toString(),
                    shape(first) + ", as " + first().path() + " has",
                    shape(info),
                    "runs in one figure have the same layers, heads and frames");
        }
    }

    private static String shape(RunInfo info) {
        return info.frames() + " frames, layers " + info.layers() + ", heads " + info.heads();
    }

    /** What a row of numbers by key frame is. */
    public interface RowOf {
        /** The head's numbers by key frame: NaN for what was not attended, infinity for a number that should be there and is none. */
        double[] of(HeadView view);
    }

    /**
     * Numbers by key frame.
     *
     * @param head whose
     * @param values merged, [T]
     * @param spread their standard deviation over the runs, [T]; null unless the values are the mean of several
     */
    @SuppressWarnings("ArrayRecordComponent") // a view, compared by nobody
    public record Row(HeadId head, double[] values, double @Nullable [] spread) {}

    /** The run that stands for all in what they share. */
    public SavedResult first() {
        return kept.getFirst();
    }

    /** How many runs there are. */
    public int size() {
        return files.size();
    }

    /** Whether there is more than one run. */
    public boolean isMany() {
        return files.size() > 1;
    }

    /** How their numbers become one. */
    public Merge merge() {
        return merge;
    }

    /** What a look at each run gives, in their order. */
    public <T> List<T> each(Function<SavedResult, T> look) {
        List<T> all = new ArrayList<>();
        kept.forEach(run -> all.add(look.apply(run)));
        for (Path file : files.subList(kept.size(), files.size())) {
            try (SavedResult run = open.apply(file)) {
                all.add(look.apply(run));
            }
        }
        return all;
    }

    /** The frame-by-frame matrices of one layer, merged. */
    public FrameMaps maps(Quantity quantity, int layer, PassSlot slot) {
        List<FrameMaps> all = each(run -> run.maps(quantity, layer, slot));
        return isMany() ? FrameMaps.merged(all, merge) : all.getFirst();
    }

    /** One measure of every head, merged. */
    public Map<HeadId, Double> measure(Measure measure, PassSlot slot, FrameBlock block, MeasureOptions options) {
        List<double[]> all = each(run -> Analysis.of(run, slot, block, options).measure(measure));
        double[] merged = isMany() ? merge.of(all) : all.getFirst();
        List<HeadId> heads = heads();
        Map<HeadId, Double> values = new LinkedHashMap<>();
        for (int i = 0; i < merged.length; i++) {
            values.put(heads.get(i), merged[i]);
        }
        return values;
    }

    /** Every captured head, by layer and head, as an {@link Analysis} has them. */
    private List<HeadId> heads() {
        RunInfo info = first().info();
        return info.layers().stream()
                .flatMap(layer -> info.heads().stream().map(head -> new HeadId(layer, head)))
                .toList();
    }

    /** A row of numbers of each head that is wanted, merged, by layer and head. */
    public List<Row> rows(
            RowOf rowOf, Predicate<HeadId> wanted, PassSlot slot, FrameBlock block, MeasureOptions options) {
        List<HeadId> heads = heads().stream().filter(wanted).toList();
        List<List<double[]>> all = each(run -> Analysis.of(run, slot, block, options).heads().stream()
                .filter(view -> wanted.test(view.head()))
                .map(rowOf::of)
                .toList());
        List<Row> rows = new ArrayList<>();
        for (int h = 0; h < heads.size(); h++) {
            int head = h;
            List<double[]> each = all.stream().map(run -> run.get(head)).toList();
            rows.add(new Row(
                    heads.get(h),
                    isMany() ? merge.of(each) : each.getFirst(),
                    isMany() && merge == Merge.MEAN ? Merge.SD.of(each) : null));
        }
        return rows;
    }

    @Override
    public void close() {
        kept.forEach(SavedResult::close);
    }
}
