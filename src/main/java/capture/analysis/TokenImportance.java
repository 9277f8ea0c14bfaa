package capture.analysis;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import wan.op.NonFiniteException;
import wan.op.Quantity;
import wan.op.Shape;
import wan.op.UsageException;

/**
 * The importance of cached tokens to the queries, as in Deep Forcing (arXiv 2512.05081): a key token's importance is the sum of q.k over
 * the recent queries; of the candidates the C most important ones are kept. Here: how often each token is kept, over heads.
 *
 * <p>Importance is taken from key logits, whose mean over a frame's queries times S sqrt(d) is that sum; the factor changes no order.
 *
 * @param pass whose queries and keys
 * @param frameSeqLen tokens of a frame, S
 * @param kept C
 * @param heads how many heads were asked
 * @param counts [K*S]: by how many heads each cached token is kept
 * @param candidate [K]: whether a key frame's tokens were candidates
 */
@SuppressWarnings("ArrayRecordComponent") // a result, compared by nobody
public record TokenImportance(
        CapturedPass pass, int frameSeqLen, int kept, int heads, int[] counts, boolean[] candidate) {
    /**
     * What the paper leaves to its user.
     *
     * @param queryFrames newest query frames that are summed over; 0 for all of the pass
     * @param skipSink first attended frames that are always kept and hence no candidates
     * @param skipRecent newest attended frames, likewise
     * @param kept C; 0 for as many tokens as two frames have
     */
    public record Options(int queryFrames, int skipSink, int skipRecent, int kept) {
        /** The whole cache is candidate. */
        public static final Options DEFAULT = new Options(0, 0, 0, 0);
    }

    /**
     * Counts over the heads of some layers.
     *
     * @throws UsageException if no candidates remain
     */
    public static TokenImportance of(SavedResult result, CapturedPass pass, List<Integer> layers, Options options) {
        int tokens = result.info().frameSeqLen();
        int frames = pass.keyFrames().size();
        boolean[] candidate = new boolean[frames];
        Arrays.fill(
                candidate,
                Math.min(frames, options.skipSink()),
                Math.max(Math.min(frames, options.skipSink()), frames - options.skipRecent()),
                true);
        List<Integer> candidates = new ArrayList<>();
        for (int k = 0; k < frames * tokens; k++) {
            if (candidate[k / tokens]) {
                candidates.add(k);
            }
        }
        if (candidates.isEmpty()) {
            throw new UsageException("analysis.skip_sink, analysis.skip_recent: expected less than the " + frames
                    + " frames that " + pass.id() + " attends");
        }
        int kept = Math.min(candidates.size(), options.kept() > 0 ? options.kept() : 2 * tokens);
        int[] counts = new int[frames * tokens];
        int heads = 0;
        for (int layer : layers) {
            float[] logits = result.values(Quantity.KEY_LOGITS, pass, layer);
            NonFiniteException.check(
                    result.path() + ": key-logits of " + pass.id() + ", layer " + layer,
                    Shape.of(result.info().heads().size(), pass.frames(), (long) frames * tokens),
                    logits); // else they would count as the most important
            for (int h = 0; h < result.info().heads().size(); h++) {
                double[] importance = importance(logits, h, pass, tokens, options.queryFrames());
                List<Integer> order = new ArrayList<>(candidates);
                order.sort(
                        Comparator.comparingDouble((Integer k) -> importance[k]).reversed());
                order.subList(0, kept).forEach(k -> counts[k]++);
                heads++;
            }
        }
        return new TokenImportance(pass, tokens, kept, heads, counts, candidate);
    }

    /**
     * The importance of every cached token to one head, up to the factor S sqrt(d).
     *
     * @param keyLogits [N, f, K*S]
     * @param queryFrames newest query frames that are summed over; 0 for all
     * @return [K*S]
     */
    static double[] importance(float[] keyLogits, int headIndex, CapturedPass pass, int tokens, int queryFrames) {
        int keys = pass.keyFrames().size() * tokens;
        double[] sums = new double[keys];
        int first = queryFrames > 0 ? Math.max(0, pass.frames() - queryFrames) : 0;
        for (int q = first; q < pass.frames(); q++) {
            for (int k = 0; k < keys; k++) {
                sums[k] += keyLogits[(headIndex * pass.frames() + q) * keys + k];
            }
        }
        return sums;
    }

    /** Share of all kept places that each key frame's tokens take, [K]; sums to 1. */
    public double[] frameShares() {
        double[] shares = new double[candidate.length];
        for (int k = 0; k < counts.length; k++) {
            shares[k / frameSeqLen] += (double) counts[k] / ((double) kept * heads);
        }
        return shares;
    }
}
