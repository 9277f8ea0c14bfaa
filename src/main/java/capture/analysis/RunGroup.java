package capture.analysis;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import wan.op.Quantity;
import wan.op.WanException;

/**
 * The data of a figure: one run, or several runs of the same shape combined.
 *
 * @param runs at least one; their frames, layers and heads are the same
 * @param merge how their values are combined
 */
public record RunGroup(List<RunResult> runs, Merge merge) {
    /**
     * Checks that the runs go together.
     *
     * @throws wan.op.UsageException if their number does not go with the way
     * @throws WanException if they differ in frames, layers or heads
     */
    public RunGroup {
        runs = List.copyOf(runs);
        merge.requireRuns(runs.size());
        RunInfo first = runs.getFirst().info();
        for (RunResult run : runs) {
            RunInfo info = run.info();
            if (info.frames() != first.frames()
                    || !info.layers().equals(first.layers())
                    || !info.heads().equals(first.heads())) {
                throw WanException.mismatch(
                        run.path().toString(),
                        shape(first) + ", as " + runs.getFirst().path() + " has",
                        shape(info),
                        "runs in one figure have the same layers, heads and frames");
            }
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
    public RunResult first() {
        return runs.getFirst();
    }

    /** Whether there is more than one run. */
    public boolean isMany() {
        return runs.size() > 1;
    }

    /** The frame-by-frame matrices of one layer, merged. */
    public FrameMaps maps(Quantity quantity, int layer, PassSlot slot) {
        List<FrameMaps> all =
                runs.stream().map(run -> run.maps(quantity, layer, slot)).toList();
        return isMany() ? FrameMaps.merged(all, merge) : all.getFirst();
    }

    /** One measure of every head, merged. */
    public Map<HeadId, Double> measure(Measure measure, PassSlot slot, FrameBlock block, MeasureOptions options) {
        List<double[]> each = new ArrayList<>();
        Analysis any = null;
        for (RunResult run : runs) {
            any = Analysis.of(run, slot, block, options);
            each.add(any.measure(measure));
        }
        double[] merged = isMany() ? merge.of(each) : each.getFirst();
        Map<HeadId, Double> values = new LinkedHashMap<>();
        for (int i = 0; i < merged.length && any != null; i++) {
            values.put(any.heads().get(i).head(), merged[i]);
        }
        return values;
    }

    /** A row of numbers of every head, merged, by layer and head. */
    public List<Row> rows(RowOf rowOf, PassSlot slot, FrameBlock block, MeasureOptions options) {
        List<Analysis> analyses =
                runs.stream().map(run -> Analysis.of(run, slot, block, options)).toList();
        List<Row> rows = new ArrayList<>();
        for (int h = 0; h < analyses.getFirst().heads().size(); h++) {
            int head = h;
            List<double[]> each = analyses.stream()
                    .map(analysis -> rowOf.of(analysis.heads().get(head)))
                    .toList();
            rows.add(new Row(
                    analyses.getFirst().heads().get(h).head(),
                    isMany() ? merge.of(each) : each.getFirst(),
                    isMany() && merge == Merge.MEAN ? Merge.SD.of(each) : null));
        }
        return rows;
    }
}
