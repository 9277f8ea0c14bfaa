package wan.edit;

import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import wan.cache.HeadPolicy;
import wan.cache.PolicySchedule.Choosing;
import wan.op.CachePart;
import wan.op.Dyn;
import wan.op.KvTensor;
import wan.op.Ops;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;

/**
 * Makes pages of the tokens that recent queries want most, as {@link HeadPolicy.Content.Top} says. On the host, once in the frame blocks that choose:
 * a layer reads the pages of the candidates and, of all queries, the sum over each frame.
 */
final class TokenChoice {
    private final HostRotary rotary;
    private final int numHeads;
    /** Whether keys are kept without rotation. */
    private final boolean unrotated;

    /** By layer: the sums of the queries of the last frames, each [batch * dim], the newest last. */
    private final Map<Integer, Deque<double[]>> queries = new HashMap<>();
    /** By layer: how often the tokens of the pages that were chosen last have been, [batch * S] by page. */
    private final Map<Integer, Map<Integer, int[]>> uses = new HashMap<>();

    TokenChoice(HostRotary rotary, int numHeads, boolean unrotated) {
        this.rotary = rotary;
        this.numHeads = numHeads;
        this.unrotated = unrotated;
    }

    /** Forgets what it has seen. */
    void begin() {
        queries.clear();
        uses.clear();
    }

    /**
     * Takes the queries of a pass.
     *
     * @param q rotated, [batch * frames * S, dim]
     * @param recent frames that are kept in mind
     */
    void see(int layer, float[] q, int batch, int recent) {
        int dim = numHeads * rotary.headDim();
        int tokens = rotary.frame().frameSeqLen();
        int frames = q.length / dim / tokens / batch;
        Deque<double[]> mine = queries.computeIfAbsent(layer, _ -> new ArrayDeque<>());
        for (int frame = 0; frame < frames; frame++) {
            double[] sums = new double[batch * dim];
            for (int sample = 0; sample < batch; sample++) {
                for (int token = 0; token < tokens; token++) {
                    int row = ((sample * frames + frame) * tokens + token) * dim;
                    for (int channel = 0; channel < dim; channel++) {
                        sums[sample * dim + channel] += q[row + channel];
                    }
                }
            }
            mine.addLast(sums);
            if (mine.size() > recent) {
                mine.removeFirst();
            }
        }
    }

    /** Makes the pages of one choice. */
    void make(List<Choosing> pages, int layer, KvTensor cache, Ops ops) {
        if (ops.rehearses()) {
            Shape shape = Shape.of((long) cache.batch() * cache.pageTokens(), (long) numHeads * rotary.headDim());
            try (Scope _ = ops.scope()) {
                pages.forEach(page -> append(page, ops.scratch(shape), ops.scratch(shape), cache, ops));
            }
            return;
        }
        Choosing first = pages.getFirst();
        int[] sources = first.sources().stream().mapToInt(Integer::intValue).toArray();
        float[] keys = ops.readPages(cache, CachePart.KEYS, sources);
        float[] values = ops.readPages(cache, CachePart.VALUES, sources);
        int tokens = cache.pageTokens();
        Map<Integer, int[]> before = uses.getOrDefault(layer, Map.of());
        Map<Integer, int[]> after = new HashMap<>();
        int[][] chosen = new int[cache.batch()][];
        for (int sample = 0; sample < cache.batch(); sample++) {
            chosen[sample] = highest(
                    scores(layer, sample, keys, first), used(before, sample, sources, tokens), first.top(), tokens);
        }
        for (Choosing page : pages) {
            int[] counts = new int[cache.batch() * tokens];
            for (int sample = 0; sample < cache.batch(); sample++) {
                int[] used = used(before, sample, sources, tokens);
                for (int i = 0; i < tokens; i++) {
                    counts[sample * tokens + i] =
                            1 + used[chosen[sample][page.top().page() * tokens + i]];
                }
            }
            after.put(page.page(), counts);
            write(page, chosen, keys, values, cache, ops);
        }
        uses.put(layer, after);
    }

    /** How often each candidate of a sample has been chosen. */
    private static int[] used(Map<Integer, int[]> before, int sample, int[] sources, int tokens) {
        int[] used = new int[sources.length * tokens];
        for (int source = 0; source < sources.length; source++) {
            int[] counts = before.get(sources[source]);
            if (counts != null) {
                System.arraycopy(counts, sample * tokens, used, source * tokens, tokens);
            }
        }
        return used;
    }

    /** The product of each candidate's key and the sum of the queries. */
    private double[] scores(int layer, int sample, float[] keys, Choosing choosing) {
        int dim = numHeads * rotary.headDim();
        int tokens = rotary.frame().frameSeqLen();
        double[] sum = new double[dim];
        for (double[] frame : queries.getOrDefault(layer, new ArrayDeque<>())) {
            for (int channel = 0; channel < dim; channel++) {
                sum[channel] += frame[sample * dim + channel];
            }
        }
        int candidates = choosing.sources().size() * tokens;
        double[] scores = new double[candidates];
        double[] key = new double[dim];
        for (int token = 0; token < candidates; token++) {
            int at = (sample * candidates + token) * dim;
            if (unrotated) {
                rotary.turn(keys, at, choosing.positions().get(token / tokens), token % tokens, key);
            } else {
                for (int channel = 0; channel < dim; channel++) {
                    key[channel] = keys[at + channel];
                }
            }
            for (int channel = 0; channel < dim; channel++) {
                scores[token] += sum[channel] * key[channel];
            }
        }
        return scores;
    }

    /** The candidates with the highest scores of those that may still be chosen, ascending; of equal ones the first. */
    static int[] highest(double[] scores, int[] used, HeadPolicy.Content.Top top, int tokens) {
        int[] chosen = IntStream.range(0, scores.length)
                .filter(token -> used[token] < top.mostUses())
                .boxed()
                .sorted(Comparator.comparingDouble(token -> -scores[token]))
                .limit((long) top.pages() * tokens)
                .mapToInt(Integer::intValue)
                .sorted()
                .toArray();
        if (chosen.length < top.pages() * tokens) {
            throw new WanException("cache policy: expected " + top.pages() * tokens
                    + " tokens that have been chosen less than " + top.mostUses() + " times, got " + chosen.length);
        }
        return chosen;
    }

    private void write(Choosing page, int[][] chosen, float[] keys, float[] values, KvTensor cache, Ops ops) {
        int dim = numHeads * rotary.headDim();
        int tokens = cache.pageTokens();
        int candidates = page.sources().size() * tokens;
        Shape shape = Shape.of((long) cache.batch() * tokens, dim);
        float[] k = new float[shape.intSize()];
        float[] v = new float[shape.intSize()];
        double[] turned = new double[dim];
        for (int row = 0; row < cache.batch() * tokens; row++) {
            int sample = row / tokens;
            int slot = row % tokens;
            int token = chosen[sample][page.top().page() * tokens + slot];
            int from = (sample * candidates + token) * dim;
            System.arraycopy(values, from, v, row * dim, dim);
            if (unrotated) {
                // So that it stands where it did when the page is turned to its own position.
                int time = page.positions().get(token / tokens);
                rotary.move(keys, from, time, token % tokens, page.position(), slot, turned);
                for (int channel = 0; channel < dim; channel++) {
                    k[row * dim + channel] = (float) turned[channel];
                }
            } else {
                System.arraycopy(keys, from, k, row * dim, dim);
            }
        }
        try (Scope _ = ops.scope()) {
            append(page, rows(k, shape, ops), rows(v, shape, ops), cache, ops);
        }
    }

    private static void append(Choosing page, Tensor k, Tensor v, KvTensor cache, Ops ops) {
        Dyn to = new Dyn("chosen", 1);
        to.set(page.page());
        ops.append(cache, k, v, to);
    }

    private static Tensor rows(float[] values, Shape shape, Ops ops) {
        Tensor rows = ops.scratch(shape);
        ops.write(rows, values);
        return rows;
    }
}
