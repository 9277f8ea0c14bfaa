package wan.pass;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import wan.op.AttentionEdit;
import wan.op.AttentionKind;
import wan.op.AttentionTap;
import wan.op.PassObserver;
import wan.op.Quantity;
import wan.op.Shape;
import wan.op.Site;
import wan.op.UsageException;

/**
 * Shows a masked pass that is run in groups of frames as the one pass that it is: logits that the mask hides are negative infinity,
 * weights 0.
 */
final class GroupedObserver {
    private final PassObserver whole;
    private final int frames;
    private final int frameTokens;
    private final Map<String, Gathered> gathered = new HashMap<>();

    /** What all groups of one attention deliver. */
    private record Gathered(AttentionTap tap, Map<Quantity, float[]> values) {}

    GroupedObserver(PassObserver whole, int frames, int frameTokens) {
        this.whole = whole;
        this.frames = frames;
        this.frameTokens = frameTokens;
    }

    /** The observer of one group, whose first frame is the pass's frame {@code first}. */
    PassObserver group(int first, Pass part) {
        boolean last = first + part.frames() == frames;
        return new PassObserver() {
            @Override
            public AttentionTap tap(int layer, AttentionKind kind) {
                Gathered all = gathered.computeIfAbsent(
                        layer + kind.name(),
                        key -> new Gathered(whole.tap(layer, kind), new EnumMap<>(Quantity.class)));
                return all.tap().wanted().isEmpty() ? AttentionTap.NONE : new GroupTap(all, kind, first, part, last);
            }

            @Override
            public AttentionEdit edit(int layer, AttentionKind kind) {
                return unchanged(whole.edit(layer, kind).isNone(), AttentionEdit.NONE);
            }

            @Override
            public boolean looksAt(int layer, Site site) {
                return unchanged(!whole.looksAt(layer, site), false);
            }

            @Override
            public boolean changes(int layer, Site site) {
                return unchanged(!whole.changes(layer, site), false);
            }

            @Override
            public boolean keepsNonFinite() {
                return whole.keepsNonFinite();
            }

            @Override
            public void layerDone(int layer) {
                if (last) {
                    whole.layerDone(layer);
                }
            }
        };
    }

    private static <T> T unchanged(boolean holds, T nothing) {
        if (!holds) {
            throw new UsageException("a pass that recomputes the context's keys: expected no intervention and no"
                    + " recording of activations in it, since it runs in groups of frames; choose other passes");
        }
        return nothing;
    }

    private final class GroupTap implements AttentionTap {
        private final Gathered all;
        private final boolean self;
        private final int first;
        private final int groupFrames;
        private final boolean last;

        GroupTap(Gathered all, AttentionKind kind, int first, Pass part, boolean last) {
            this.all = all;
            this.self = kind == AttentionKind.SELF;
            this.first = first;
            this.groupFrames = part.frames();
            this.last = last;
        }

        @Override
        public Set<Quantity> wanted() {
            return all.tap().wanted();
        }

        @Override
        public int[] heads() {
            return all.tap().heads();
        }

        @Override
        public void accept(Quantity quantity, Shape shape, float[] values) {
            int queryRows = shape.dim(2) / groupFrames;
            int seen = shape.dim(3);
            int keys = self ? seen / (first + groupFrames) * frames : seen;
            Shape full = Shape.of(shape.dim(0), shape.dim(1), (long) frames * queryRows, keys);
            float[] out = all.values().computeIfAbsent(quantity, q -> hidden(q, full));
            for (int row = 0; row < values.length / seen; row++) {
                int plane = row / shape.dim(2);
                int query = first * queryRows + row % shape.dim(2);
                System.arraycopy(values, row * seen, out, (plane * full.dim(2) + query) * keys, seen);
            }
            if (last) {
                all.tap().accept(quantity, full, out);
            }
        }

        @Override
        public void acceptTokens(
                Quantity quantity, int batch, int headIndex, int firstQuery, int queries, int keys, float[] tile) {
            int allKeys = self ? frames * frameTokens : keys;
            float[] wide = tile;
            if (keys < allKeys) {
                wide = new float[queries * allKeys];
                Arrays.fill(wide, Float.NEGATIVE_INFINITY);
                for (int row = 0; row < queries; row++) {
                    System.arraycopy(tile, row * keys, wide, row * allKeys, keys);
                }
            }
            all.tap()
                    .acceptTokens(quantity, batch, headIndex, first * frameTokens + firstQuery, queries, allKeys, wide);
        }

        private static float[] hidden(Quantity quantity, Shape shape) {
            float[] out = new float[shape.intSize()];
            Arrays.fill(out, quantity.isMass() ? 0 : Float.NEGATIVE_INFINITY);
            return out;
        }
    }
}
