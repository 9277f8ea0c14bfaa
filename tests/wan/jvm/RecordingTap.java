package wan.jvm;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import wan.op.AttentionTap;
import wan.op.Quantity;
import wan.op.Shape;

/** Keeps everything that it is given, and fails on anything that comes twice. */
public final class RecordingTap implements AttentionTap {
    private record Tile(
            Quantity quantity, int batch, int headIndex, int firstQuery, int queries, int keys, List<Float> values) {}

    private final int[] heads;
    private final Set<Quantity> wanted;
    private final Map<Quantity, Shape> shapes = new EnumMap<>(Quantity.class);
    private final Map<Quantity, float[]> values = new EnumMap<>(Quantity.class);
    private final List<Tile> tiles = new ArrayList<>();

    public RecordingTap(int[] heads, Quantity... wanted) {
        this.heads = heads;
        this.wanted = Set.of(wanted);
    }

    @Override
    public Set<Quantity> wanted() {
        return wanted;
    }

    @Override
    public int[] heads() {
        return heads.clone();
    }

    @Override
    public List<int[]> regions() {
        return wanted.stream().anyMatch(Quantity::ofRegions) ? List.of(new int[] {1}, new int[] {0, 1, 3}) : List.of();
    }

    @Override
    public void accept(Quantity quantity, Shape shape, float[] delivered) {
        assertThat(wanted).contains(quantity);
        assertThat(quantity.inTiles()).isFalse();
        assertThat(shapes.put(quantity, shape)).isNull();
        assertThat((long) delivered.length).isEqualTo(shape.size());
        values.put(quantity, delivered);
    }

    @Override
    public synchronized void acceptTokens(
            Quantity quantity, int batch, int headIndex, int firstQuery, int queries, int keys, float[] tile) {
        List<Float> copy = new ArrayList<>(queries * keys);
        for (int i = 0; i < queries * keys; i++) {
            copy.add(tile[i]);
        }
        tiles.add(new Tile(quantity, batch, headIndex, firstQuery, queries, keys, copy));
    }

    public Shape shape(Quantity quantity) {
        return Objects.requireNonNull(shapes.get(quantity), "not delivered");
    }

    public float[] values(Quantity quantity) {
        return Objects.requireNonNull(values.get(quantity), "not delivered");
    }

    /** [batch, heads, queries, keys], once it is clear that every row came exactly once. */
    float[] tokenLogits(int batch, int queries, int keys) {
        return tiles(Quantity.TOKEN_LOGITS, batch, queries, keys);
    }

    /** As {@link #tokenLogits}, of either quantity that comes in tiles. */
    public float[] tiles(Quantity quantity, int batch, int queries, int keys) {
        float[] all = new float[batch * heads.length * queries * keys];
        boolean[] seen = new boolean[batch * heads.length * queries];
        for (Tile tile : tiles) {
            if (tile.quantity != quantity) {
                continue;
            }
            assertThat(tile.keys).isEqualTo(keys);
            for (int row = 0; row < tile.queries; row++) {
                int to = (tile.batch * heads.length + tile.headIndex) * queries + tile.firstQuery + row;
                assertThat(seen[to]).as("row delivered twice").isFalse();
                seen[to] = true;
                for (int key = 0; key < keys; key++) {
                    all[to * keys + key] = tile.values.get(row * keys + key);
                }
            }
        }
        assertThat(seen).as("every row delivered").doesNotContain(false);
        return all;
    }
}
