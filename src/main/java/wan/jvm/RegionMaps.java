package wan.jvm;

import java.util.Arrays;
import java.util.List;
import wan.jvm.kernel.AttentionCall;
import wan.jvm.kernel.PagedKv;
import wan.jvm.kernel.Workers;
import wan.op.AttentionTap;
import wan.op.RegionRows;

/**
 * The logits of the queries of a tap's regions with every key: one row of logits per query and head, never the token
 * matrix.
 */
final class RegionMaps {
    private final AttentionCall call;
    private final PagedKv cache;
    private final int[] heads;
    private final List<int[]> regions;
    private final RegionRows rows;

    RegionMaps(AttentionCall call, AttentionTap tap) {
        this.call = call;
        this.cache = call.cache();
        this.heads = tap.heads();
        this.regions = tap.regions();
        this.rows = new RegionRows(tap, call.edit(), cache.batch(), call.keys(), cache.pageTokens());
    }

    void deliver(Workers workers) {
        workers.run(cache.batch() * heads.length * regions.size(), (row, _) -> {
            int plane = row / regions.size();
            float[] logits = new float[call.keys()];
            for (int query : regions.get(row % regions.size())) {
                logits(plane / heads.length, heads[plane % heads.length], query, logits);
                rows.add(row, logits, 0);
            }
        });
        rows.deliver();
    }

    private void logits(int sample, int head, int query, float[] row) {
        int from = call.index(sample, query, head);
        int tile = cache.tile();
        double[] sums = new double[tile];
        float[] room = new float[cache.roomFloats()];
        for (int p = 0; p < call.pages().length; p++) {
            int first = p * cache.pageTokens();
            if (!cache.holds(sample, call.pages()[p], head)) {
                Arrays.fill(row, first, first + cache.pageTokens(), Float.NaN); // given back, and not attended
                continue;
            }
            float[] keys = cache.keys(sample, call.pages()[p], head, 0, cache.pageTokens(), room);
            for (int token = 0; token < cache.pageTokens(); token += tile) {
                int at = cache.keyIndex(token);
                int count = Math.min(tile, cache.pageTokens() - token);
                Arrays.fill(sums, 0);
                for (int channel = 0; channel < cache.headDim(); channel++) {
                    double q = call.q()[from + channel];
                    for (int i = 0; i < count; i++) {
                        sums[i] += q * keys[at + channel * tile + i];
                    }
                }
                for (int i = 0; i < count; i++) {
                    row[first + token + i] = (float) (sums[i] * call.scale());
                }
            }
        }
    }
}
