package capture.analysis;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import wan.op.Quantity;

/**
 * The heads of one run in one pass slot, for the queries of one frame block.
 *
 * @param run the run's name
 * @param slot which pass of every frame block
 * @param block whose query frames count
 * @param options parameters of the measures
 * @param heads every captured head, by layer and head
 */
public record Analysis(String run, PassSlot slot, FrameBlock block, MeasureOptions options, List<HeadView> heads) {
    /** Copies the list. */
    public Analysis {
        heads = List.copyOf(heads);
    }

    /** Reads what the measures need. */
    public static Analysis of(SavedResult result, PassSlot slot, FrameBlock block, MeasureOptions options) {
        List<HeadView> heads = new ArrayList<>();
        RunInfo info = result.info();
        boolean hasLogits = result.has(Quantity.FRAME_LOGITS);
        boolean hasMass = result.has(Quantity.FRAME_MASS);
        for (int layer : info.layers()) {
            FrameMaps logits = hasLogits ? result.maps(Quantity.FRAME_LOGITS, layer, slot) : null;
            FrameMaps mass = hasMass ? result.maps(Quantity.FRAME_MASS, layer, slot) : null;
            FrameMaps any = logits != null ? logits : mass;
            boolean[] attended = any != null ? any.attended() : new boolean[info.frames() * info.frames()];
            for (int h = 0; h < info.heads().size(); h++) {
                heads.add(new HeadView(
                        new HeadId(layer, info.heads().get(h)),
                        info.frames(),
                        block,
                        attended,
                        head(logits, h),
                        head(mass, h)));
            }
        }
        return new Analysis(result.name(), slot, block, options, heads);
    }

    /** The same heads, seen from another frame block's queries. */
    public Analysis seenFrom(FrameBlock other) {
        return new Analysis(
                run,
                slot,
                other,
                options,
                heads.stream().map(view -> view.seenFrom(other)).toList());
    }

    private static float @Nullable [] head(@Nullable FrameMaps maps, int head) {
        return maps == null ? null : maps.head(head);
    }

    /** One measure of every head, in the heads' order; NaN where it has no value. */
    public double[] measure(Measure measure) {
        return heads.stream().mapToDouble(view -> measure.of(view, options)).toArray();
    }

    /** Measures that have a value for some head. */
    public List<Measure> measures() {
        return List.of(Measure.values()).stream()
                .filter(measure -> heads.stream().anyMatch(view -> !Double.isNaN(measure.of(view, options))))
                .toList();
    }

    /** Where each head stands in {@link #heads}. */
    public Map<HeadId, Integer> positions() {
        Map<HeadId, Integer> positions = new TreeMap<>(HeadId.ORDER);
        for (int i = 0; i < heads.size(); i++) {
            positions.put(heads.get(i).head(), i);
        }
        return positions;
    }
}
