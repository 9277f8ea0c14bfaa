package tornado;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a rehearsal has noted, so that the run records once: weights go up once and every kernel is compiled once. The run's stores take
 * the places of the rehearsal's, in the same order.
 */
public final class Forecast {
    private final List<WeightShard> shards;
    private final WideStore wideWeights;
    private final List<PagePool> pools;
    private final Set<Segment.Key> keys;
    private final Program.Sizes sizes;
    private final float[] parameters;

    /**
     * Of a rehearsal that is over.
     *
     * @param keys of all segments
     * @param sizes with room for all of them
     * @param parameters all small parameters, in the order they were added
     */
    Forecast(
            List<WeightShard> shards,
            WideStore wideWeights,
            List<PagePool> pools,
            Set<Segment.Key> keys,
            Program.Sizes sizes,
            float[] parameters) {
        this.shards = List.copyOf(shards);
        this.wideWeights = wideWeights;
        this.pools = List.copyOf(pools);
        this.keys = new LinkedHashSet<>(keys);
        this.sizes = sizes;
        this.parameters = parameters;
    }

    /** The names of the linear layers of each array of weights. */
    List<List<String>> shards() {
        return shards.stream().map(WeightShard::names).toList();
    }

    /** The pools of keys and values. */
    List<PagePool> pools() {
        return pools;
    }

    Program.Sizes sizes() {
        return sizes;
    }

    float[] parameters() {
        return parameters;
    }

    /**
     * The keys with the run's stores.
     *
     * @param actualShards as {@link #shards}
     * @param actualPools as {@link #pools}
     */
    Set<Segment.Key> keys(List<WeightShard> actualShards, WideStore actualWide, List<PagePool> actualPools) {
        IdentityHashMap<Store, Store> actual = new IdentityHashMap<>();
        for (int i = 0; i < shards.size(); i++) {
            actual.put(shards.get(i), actualShards.get(i));
        }
        actual.put(wideWeights, actualWide);
        for (int i = 0; i < pools.size(); i++) {
            List<Store> theirs = pools.get(i).stores();
            List<Store> ours = actualPools.get(i).stores();
            for (int j = 0; j < theirs.size(); j++) {
                actual.put(theirs.get(j), ours.get(j));
            }
        }
        Set<Segment.Key> mapped = new LinkedHashSet<>();
        for (Segment.Key key : keys) {
            List<Call.Shape> calls = new ArrayList<>();
            for (Call.Shape call : key.calls()) {
                calls.add(new Call.Shape(call.kernel(), of(actual, call.first()), of(actual, call.second())));
            }
            mapped.add(new Segment.Key(List.copyOf(calls)));
        }
        return mapped;
    }

    private static @Nullable Store of(IdentityHashMap<Store, Store> actual, @Nullable Store store) {
        if (store == null) {
            return null;
        }
        Store found = actual.get(store);
        if (found == null) {
            throw new IllegalStateException("a store that is not the rehearsal's");
        }
        return found;
    }
}
