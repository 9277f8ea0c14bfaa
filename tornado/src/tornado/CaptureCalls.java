package tornado;

import java.util.Arrays;
import java.util.List;
import java.util.Set;
import wan.op.AttentionTap;
import wan.op.DType;
import wan.op.Quantity;
import wan.op.RegionRows;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.WanException;

/**
 * The captures of one attention call: capturing is which kernels run, never another one in the hot path. Every quantity is fetched at
 * the end of a graph of its own. Means and logits come before the attention; masses from an attention that keeps them on the way.
 */
final class CaptureCalls {
    /** Token logits are made in tiles of about this many values. */
    private static final int TILE_FLOATS = 1 << 22;

    private final Recorder recorder;
    private final ScratchStack scratch;
    private final DeviceTarget target;
    private final HalfCalls halves;
    private final AttentionOperands attention;
    private final DeviceTensor q;
    private final DeviceCache kv;
    private final Pages pages;
    private final int queries;
    private final int queryGroupTokens;
    private final int keyGroupTokens;
    private final AttentionTap tap;
    private final int[] heads;
    private final int keys;
    private final int scale;

    /**
     * Of one attention.
     *
     * @param pages of keys: as they are stored, if {@link #readsPanels} does not say otherwise, or in float32
     */
    CaptureCalls(
            Recorder recorder,
            ScratchStack scratch,
            DeviceTarget target,
            HalfCalls halves,
            AttentionOperands attention,
            Pages pages,
            int queryGroupTokens,
            int keyGroupTokens,
            AttentionTap tap) {
        this.recorder = recorder;
        this.scratch = scratch;
        this.target = target;
        this.halves = halves;
        this.attention = attention;
        this.q = attention.q();
        this.kv = attention.kv();
        this.pages = pages;
        this.queries = attention.queries();
        this.queryGroupTokens = queryGroupTokens;
        this.keyGroupTokens = keyGroupTokens;
        this.tap = tap;
        this.heads = tap.heads();
        this.keys = pages.numbers().length * kv.pageTokens();
        this.scale = attention.scale();
        for (int i = 0; i < heads.length; i++) {
            if (heads[i] < (i == 0 ? 0 : heads[i - 1] + 1) || heads[i] >= kv.numHeads()) {
                throw WanException.mismatch(
                        "attention tap", "ascending heads below " + kv.numHeads(), Arrays.toString(heads), "");
            }
        }
    }

    /** Whether a tap wants what is made of single keys in float32: means are of keys as they are stored. */
    static boolean readsPanels(AttentionTap tap) {
        return tap.wanted().stream()
                .anyMatch(quantity -> !quantity.inAttention()
                        && quantity != Quantity.FRAME_LOGITS
                        && quantity != Quantity.QUERY_LOGITS);
    }

    /** Whether the attention has to keep masses: {@link #masses}. */
    boolean wantsMass() {
        return heads.length > 0 && tap.wanted().stream().anyMatch(Quantity::inAttention);
    }

    /** Records what the tap wants beside the attention. */
    void record() {
        Set<Quantity> wanted = tap.wanted();
        if (heads.length == 0) {
            return;
        }
        try (Scope _ = recorder.lent()) {
            for (Quantity quantity : Quantity.values()) {
                if (wanted.contains(quantity)) {
                    switch (quantity) {
                        case FRAME_LOGITS -> frameLogits();
                        case KEY_LOGITS -> keyLogits();
                        case QUERY_LOGITS -> queryLogits();
                        case FRAME_MASS, QUERY_MASS -> {} // come with the attention
                        case REGION_LOGITS -> regions();
                        case REGION_MASS -> {
                            if (!wanted.contains(Quantity.REGION_LOGITS)) {
                                regions(); // which delivers both
                            }
                        }
                        case TOKEN_LOGITS -> tokenLogits();
                        case LOGITS_USED -> {
                            if (!wanted.contains(Quantity.TOKEN_LOGITS)) {
                                tokenLogits(); // which delivers both
                            }
                        }
                    }
                }
            }
        }
    }

    private int planes() {
        return kv.batch() * heads.length;
    }

    private int queryGroups() {
        return queries / queryGroupTokens;
    }

    private int keyGroups() {
        return keys / keyGroupTokens;
    }

    private DeviceTensor take(long... dims) {
        return scratch.take(Shape.of(dims));
    }

    private void deliver(Quantity quantity, DeviceTensor values) {
        recorder.fetch(values, floats -> tap.accept(quantity, values.shape(), floats));
    }

    private DeviceTensor meanQueries() {
        DeviceTensor y = take(kv.batch(), heads.length, queryGroups(), kv.headDim());
        recorder.add(recorder.elements(
                Kernel.MEAN_QUERIES,
                null,
                null,
                y.shape().intSize(),
                List.of(new Call.Table(8, heads)),
                q.offset(),
                y.offset(),
                queries,
                queryGroupTokens,
                kv.numHeads(),
                kv.headDim(),
                heads.length));
        return y;
    }

    private DeviceTensor meanKeys() {
        DeviceTensor y = take(kv.batch(), heads.length, keyGroups(), kv.headDim());
        boolean stored = pages.keys().dtype() != DType.F32;
        recorder.add(recorder.elements(
                stored ? Kernel.MEAN_HALF_KEYS : Kernel.MEAN_KEYS,
                pages.keys(),
                null,
                y.shape().intSize(),
                List.of(new Call.Table(7, heads), new Call.Table(9, pages.numbers())),
                y.offset(),
                keyGroups(),
                keyGroupTokens,
                kv.numHeads(),
                kv.headDim(),
                heads.length,
                0,
                kv.pageTokens(),
                0,
                pages.first(),
                pages.perSample(),
                stored ? halves.cacheTable() : 0,
                kv.pool().isRows() ? 1 : 0));
        return y;
    }

    /** [B, N, f, K]: mean queries times mean keys. */
    private void frameLogits() {
        DeviceTensor a = meanQueries();
        int headDim = kv.headDim();
        int groups = queryGroups();
        deliver(
                Quantity.FRAME_LOGITS,
                products(a.offset(), groups, heads.length * groups * headDim, groups * headDim, headDim, false));
    }

    /** [B, N, Lq, K]: queries times mean keys. */
    private void queryLogits() {
        int dim = kv.numHeads() * kv.headDim();
        deliver(Quantity.QUERY_LOGITS, products(q.offset(), queries, queries * dim, kv.headDim(), dim, true));
    }

    private DeviceTensor products(int a, int rows, int sampleStride, int headStride, int rowStride, boolean allHeads) {
        DeviceTensor b = meanKeys();
        DeviceTensor y = take(kv.batch(), heads.length, rows, keyGroups());
        recorder.add(recorder.elements(
                Kernel.PRODUCTS,
                null,
                null,
                y.shape().intSize(),
                List.of(new Call.Table(12, heads)),
                a,
                b.offset(),
                y.offset(),
                rows,
                keyGroups(),
                kv.headDim(),
                heads.length,
                sampleStride,
                headStride,
                rowStride,
                allHeads ? 1 : 0,
                0,
                scale));
        return y;
    }

    /** [B, N, f, Lk]: mean queries times keys. */
    private void keyLogits() {
        DeviceTensor a = meanQueries();
        DeviceTensor y = take(kv.batch(), heads.length, queryGroups(), keys);
        recorder.add(recorder.elements(
                Kernel.KEY_LOGITS,
                pages.keys(),
                null,
                y.shape().intSize(),
                List.of(new Call.Table(8, heads), new Call.Table(10, pages.numbers())),
                a.offset(),
                y.offset(),
                queryGroups(),
                keys,
                kv.numHeads(),
                kv.headDim(),
                heads.length,
                0,
                kv.pageTokens(),
                0,
                pages.first(),
                pages.perSample(),
                scale));
        deliver(Quantity.KEY_LOGITS, y);
    }

    /** Records an attention that leaves the masses of all heads. */
    interface Masses {
        /**
         * Records it.
         *
         * @param masses where they go, [B, N, Lq, K]
         */
        void record(DeviceTensor masses);
    }

    /** The attention with the masses of all heads, and the captured ones of them: [B, N, f, K]. */
    void masses(Masses attention) {
        try (Scope _ = recorder.lent()) {
            int allHeads = kv.numHeads();
            DeviceTensor perQuery = take(kv.batch(), allHeads, queries, keyGroups());
            attention.record(perQuery);
            if (tap.wanted().contains(Quantity.QUERY_MASS)) {
                fetchCaptured(perQuery, Quantity.QUERY_MASS, queries);
            }
            if (!tap.wanted().contains(Quantity.FRAME_MASS)) {
                return;
            }
            DeviceTensor means = take(kv.batch(), allHeads, queryGroups(), keyGroups());
            recorder.add(recorder.elements(
                    Kernel.MEAN_ROWS,
                    null,
                    means.shape().intSize(),
                    perQuery.offset(),
                    means.offset(),
                    keyGroups(),
                    queryGroupTokens));
            fetchCaptured(means, Quantity.FRAME_MASS, queryGroups());
        }
    }

    /** Fetches [B, all heads, rows, K] and delivers the captured heads of it. */
    private void fetchCaptured(DeviceTensor ofAllHeads, Quantity quantity, int rows) {
        int plane = rows * keyGroups();
        Shape captured = Shape.of(kv.batch(), heads.length, rows, keyGroups());
        recorder.fetch(ofAllHeads, all -> {
            float[] values = new float[captured.intSize()];
            for (int i = 0; i < planes(); i++) {
                int from = i / heads.length * kv.numHeads() + heads[i % heads.length];
                System.arraycopy(all, from * plane, values, i * plane, plane);
            }
            tap.accept(quantity, captured, values);
        });
    }

    /** Rows of logits of the regions' queries, whose means and masses are made on the host. */
    private void regions() {
        List<int[]> regions = tap.regions();
        RegionRows gathered = new RegionRows(tap, attention.edit(), kv.batch(), keys, kv.pageTokens());
        int tileRows = Math.clamp(TILE_FLOATS / keys, 1, queries);
        int longest = regions.stream().mapToInt(region -> region.length).max().orElseThrow();
        DeviceTensor buffer = take(Math.min(tileRows, longest), keys);
        int last = planes() * regions.size() - 1;
        for (int row = 0; row <= last; row++) {
            int[] region = regions.get(row % regions.size());
            for (int i = 0, run; i < region.length; i += run) {
                run = 1;
                while (run < tileRows && i + run < region.length && region[i + run] == region[i] + run) {
                    run++;
                }
                DeviceTensor logits = new DeviceTensor(Shape.of(run, keys), buffer.owner(), false, buffer.offset());
                rowsOfLogits(row / regions.size(), region[i], run, logits);
                int of = row;
                int count = run;
                boolean done = row == last && i + run == region.length;
                recorder.fetch(logits, values -> {
                    for (int query = 0; query < count; query++) {
                        gathered.add(of, values, query * keys);
                    }
                    if (done) {
                        gathered.deliver();
                    }
                });
            }
        }
    }

    private void tokenLogits() {
        forTiles((plane, first, rows, logits) -> {
            DeviceTensor used = new DeviceTensor(Shape.of(rows, keys), logits.owner(), false, logits.offset());
            int sample = plane / heads.length;
            int headIndex = plane % heads.length;
            recorder.fetch(
                    used,
                    tile -> attention
                            .edit()
                            .deliver(tap, sample, headIndex, heads[headIndex], first, rows, keys, tile));
        });
    }

    /** What to do with one tile of logits. */
    private interface Tile {
        void logits(int plane, int first, int rows, DeviceTensor logits);
    }

    /** Makes [rows, keys] logits of each sample and head, page by page: a page of keys has the form of packed weights. */
    private void forTiles(Tile then) {
        int tileRows = Math.clamp(TILE_FLOATS / keys, 1, queries);
        DeviceTensor logits = take(tileRows, keys);
        for (int plane = 0; plane < planes(); plane++) {
            for (int first = 0; first < queries; first += tileRows) {
                int rows = Math.min(tileRows, queries - first);
                rowsOfLogits(plane, first, rows, logits);
                then.logits(plane, first, rows, logits);
            }
        }
    }

    private void rowsOfLogits(int plane, int first, int rows, DeviceTensor logits) {
        int headDim = kv.headDim();
        int dim = kv.numHeads() * headDim;
        int pageVectors = kv.pool().geometry().keyElements() / 16;
        int head = heads[plane % heads.length];
        int sample = plane / heads.length;
        int x = q.offset() + (sample * queries + first) * dim + head * headDim;
        for (int p = 0; p < pages.numbers().length; p++) {
            int page = pages.first() + sample * pages.perSample() + pages.numbers()[p];
            int w = page * pageVectors + head * (pageVectors / kv.numHeads());
            int y = logits.offset() + p * kv.pageTokens();
            recorder.add(Linears.call(
                    target,
                    pages.keys(),
                    List.of(),
                    rows,
                    headDim,
                    kv.pageTokens(),
                    x,
                    dim,
                    y,
                    keys,
                    w,
                    LinearKernels.SCALE,
                    scale,
                    0,
                    0,
                    0,
                    1));
            recorder.cut();
        }
    }
}
