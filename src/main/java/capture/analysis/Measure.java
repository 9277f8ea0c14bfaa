package capture.analysis;

import java.util.Arrays;
import java.util.Locale;
import wan.op.Quantity;
import wan.op.UsageException;

/**
 * The measures of a head. Each uses the query frames of one frame block (by default the last), except those that are
 * defined over the whole rollout. In the formulas l(q,k) is a frame logit, m(q,k) a frame mass, r(k) and p(k) their means over the frame
 * block's query frames, K the attended key frames, e the newest of them.
 */
public enum Measure {
    /** First frame against the middle ones. */
    SINK_SCORE(
            "sink score",
            Quantity.FRAME_LOGITS,
            "Logit of the first frame minus the mean logit of the middle frames.",
            "r(0) - mean of r(k) over k in K, 0 < k < T-1; all of K if that leaves none. NaN if frame 0 was evicted",
            "extract_all_attention.ipynb of winbeau/Self-Forcing-fork",
            true) {
        @Override
        public double of(HeadView view, MeasureOptions options) {
            double[] row = view.logitRow();
            return row[0] - middle(view, row);
        }
    },
    /** The newest frame against the middle ones. */
    RECENCY(
            "recency",
            Quantity.FRAME_LOGITS,
            "Logit of the newest attended frame minus the mean logit of the middle frames; the mirror image"
                    + " of the sink score.",
            "r(e) - mean of r(k) over k in K, 0 < k < T-1; all of K if that leaves none",
            "ours, after the last-frame column of the same notebook",
            true) {
        @Override
        public double of(HeadView view, MeasureOptions options) {
            double[] row = view.logitRow();
            int[] keys = view.keyFrames();
            return keys.length == 0 ? Double.NaN : row[keys[keys.length - 1]] - middle(view, row);
        }
    },
    /** Frames with themselves. */
    DIAGONAL_MEAN(
            "diagonal mean",
            Quantity.FRAME_LOGITS,
            "Mean logit of a frame with itself, over all frames of the rollout.",
            "mean of l(q,q) over q",
            "extract_all_attention.ipynb of winbeau/Self-Forcing-fork",
            true) {
        @Override
        public double of(HeadView view, MeasureOptions options) {
            return view.diagonalMean();
        }
    },
    /** Frames with the first one. */
    FIRST_FRAME_MEAN(
            "first-frame mean",
            Quantity.FRAME_LOGITS,
            "Mean logit of the first frame as a key, over all query frames of the rollout that attended to it.",
            "mean of l(q,0) over q",
            "extract_all_attention.ipynb of winbeau/Self-Forcing-fork",
            true) {
        @Override
        public double of(HeadView view, MeasureOptions options) {
            return view.firstFrameMean();
        }
    },
    /** How often logits are positive. */
    SIGN_RATE(
            "sign rate",
            Quantity.FRAME_LOGITS,
            "Share of positive logits. Adding a constant to all logits of a query does not change its"
                    + " attention, so signs describe the model as trained, not what is attended.",
            "share of the pairs q in the frame block, k in K with l(q,k) > 0",
            "Pyramid Forcing, arXiv 2605.13111 (sign-rate statistics on pre-softmax logits)",
            false) {
        @Override
        public double of(HeadView view, MeasureOptions options) {
            int pairs = 0;
            int positive = 0;
            float[] logits = view.logits();
            for (int q = view.block().first();
                    logits != null && q < view.block().end();
                    q++) {
                for (int k : view.keyFrames()) {
                    if (Float.isNaN(logits[q * view.frames() + k])) {
                        return Double.NaN;
                    }
                    pairs++;
                    positive += logits[q * view.frames() + k] > 0 ? 1 : 0;
                }
            }
            return pairs == 0 ? Double.NaN : (double) positive / pairs;
        }
    },
    /** The strongest oscillation over the key frames. */
    PERIOD(
            "dominant period",
            Quantity.FRAME_LOGITS,
            "Period, in frames, of the strongest oscillation over the key frames.",
            "d(k) = r(k+1) - r(k) over the longest gapless run of K, less its mean, times a Hann window; n / argmax over j"
                    + " = 1..n/2 of |FFT(d)(j)|. NaN for fewer than 4 differences or without any oscillation",
            "Pyramid Forcing, arXiv 2605.13111 (frequency-domain periodicity); the difference and the window ours",
            false) {
        @Override
        public double of(HeadView view, MeasureOptions options) {
            return view.spectrum().period();
        }
    },
    /** How much of the spectrum the strongest oscillation holds. */
    PERIOD_SHARE(
            "period share",
            Quantity.FRAME_LOGITS,
            "Share of the spectrum's power at the dominant period: 1 is a pure wave.",
            "max over j of |FFT(d)(j)|^2 / their sum over j = 1..n/2",
            "ours; a rule for periodic heads needs such a strength",
            false) {
        @Override
        public double of(HeadView view, MeasureOptions options) {
            return view.spectrum().share();
        }
    },
    /** Mass on the first frames. */
    SINK_MASS(
            "sink mass",
            Quantity.FRAME_MASS,
            "Attention weight on the first attended frames (1 by default) that lie before the frame block.",
            "sum of p(k) over the first s of K that lie before the frame block",
            "Head Forcing, arXiv 2605.14487; Dummy Forcing, arXiv 2601.20499",
            false) {
        @Override
        public double of(HeadView view, MeasureOptions options) {
            return view.massOf(0, Math.min(options.sinkFrames(), view.earlierKeys()));
        }
    },
    /** Mass between the first frames and the current frame block. */
    NEIGHBOUR_MASS(
            "neighbour mass",
            Quantity.FRAME_MASS,
            "Attention weight on the frames between the sink and the current frame block.",
            "sum of p(k) over K without the first s and without the frame block",
            "Dummy Forcing, arXiv 2601.20499",
            false) {
        @Override
        public double of(HeadView view, MeasureOptions options) {
            return view.massOf(options.sinkFrames(), view.earlierKeys());
        }
    },
    /** Mass on the current frame block. */
    CURRENT_MASS(
            "current mass",
            Quantity.FRAME_MASS,
            "Attention weight on the current frame block itself.",
            "sum of p(k) over the frame block",
            "Head Forcing, arXiv 2605.14487; Dummy Forcing, arXiv 2601.20499",
            false) {
        @Override
        public double of(HeadView view, MeasureOptions options) {
            return view.massOf(view.earlierKeys(), Integer.MAX_VALUE);
        }
    },
    /** Mass on the newest frames, beside the sink. */
    RECENT_MASS(
            "recent mass",
            Quantity.FRAME_MASS,
            "Attention weight on the newest frames (4 by default), as a share of the weight on all but the"
                    + " first frames (3 by default).",
            "sum of p(k) over the newest n of K / sum of p(k) over K without the first s; the sums may overlap",
            "Forcing-KV, arXiv 2605.09681, head_profile.py and the description in its head maps",
            false) {
        @Override
        public double of(HeadView view, MeasureOptions options) {
            int keys = view.keyFrames().length;
            double rest = view.massOf(options.skipFrames(), keys);
            return rest > 0 ? view.massOf(keys - options.recentFrames(), keys) / rest : Double.NaN;
        }
    },
    /** How spread out the mass is. */
    ENTROPY(
            "entropy",
            Quantity.FRAME_MASS,
            "Spread of the weight over key frames, in nats: 0 for a single frame, ln |K| for equal weights."
                    + " Computed over frames, not tokens.",
            "mean over q in the frame block of -sum over k of m(q,k) ln m(q,k)",
            "Shannon entropy, as usual for attention heads",
            false) {
        @Override
        public double of(HeadView view, MeasureOptions options) {
            float[] mass = view.mass();
            int[] keys = view.keyFrames();
            if (mass == null || keys.length == 0) {
                return Double.NaN;
            }
            double sum = 0;
            for (int q = view.block().first(); q < view.block().end(); q++) {
                for (int k : keys) {
                    double m = mass[q * view.frames() + k];
                    sum -= m == 0 ? 0 : m * Math.log(m); // NaN stays
                }
            }
            return sum / view.block().frames();
        }
    },
    /** How far back the mass lies. */
    EXPECTED_AGE(
            "expected age",
            Quantity.FRAME_MASS,
            "Mean age of the attended frames, in frames behind the newest, weighted by mass.",
            "sum over K of p(k) (e - k) / sum over K of p(k)",
            "ours; the mean distance of attention, as usual for language models",
            false) {
        @Override
        public double of(HeadView view, MeasureOptions options) {
            double[] row = view.massRow();
            int[] keys = view.keyFrames();
            double sum = 0;
            double total = 0;
            for (int k : keys) {
                sum += row[k] * (keys[keys.length - 1] - k);
                total += row[k];
            }
            return total > 0 ? sum / total : Double.NaN;
        }
    },
    /** Where most of the mass lies. */
    PEAK_AGE(
            "peak age",
            Quantity.FRAME_MASS,
            "Age of the frame with the most mass, in frames behind the newest; the newest on a tie.",
            "e - argmax over K of p(k)",
            "ours",
            false) {
        @Override
        public double of(HeadView view, MeasureOptions options) {
            double[] row = view.massRow();
            int[] keys = view.keyFrames();
            if (view.mass() == null || keys.length == 0) {
                return Double.NaN;
            }
            int best = keys[keys.length - 1];
            for (int k : keys) {
                if (Double.isNaN(row[k])) {
                    return Double.NaN;
                }
                best = row[k] > row[best] ? k : best;
            }
            return keys[keys.length - 1] - best;
        }
    };

    private final String title;
    private final Quantity quantity;
    private final String definition;
    private final String formula;
    private final String source;
    private final boolean signed;

    Measure(String title, Quantity quantity, String definition, String formula, String source, boolean signed) {
        this.title = title;
        this.quantity = quantity;
        this.definition = definition;
        this.formula = formula;
        this.source = source;
        this.signed = signed;
    }

    /** Its value for a head; NaN where it has none. */
    public abstract double of(HeadView view, MeasureOptions options);

    /** As options and files spell it: {@code sink_score}. */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** As figures and tables show it. */
    public String title() {
        return title;
    }

    /** What has to be captured for it. */
    public Quantity quantity() {
        return quantity;
    }

    /** What it is, in a sentence. */
    public String definition() {
        return definition;
    }

    /** How it is computed. */
    public String formula() {
        return formula;
    }

    /** Where it comes from. */
    public String source() {
        return source;
    }

    /** Whether 0 is its middle; else it is never negative. */
    public boolean signed() {
        return signed;
    }

    /**
     * A measure by its id.
     *
     * @throws UsageException if there is none
     */
    public static Measure parse(String id) {
        return Arrays.stream(values())
                .filter(measure -> measure.id().equals(id.replace('-', '_')))
                .findFirst()
                .orElseThrow(() -> new UsageException("analysis.measure: expected one of "
                        + String.join(
                                ", ", Arrays.stream(values()).map(Measure::id).toList()) + ", got " + id));
    }

    /** Mean over all attended frames but the first and last of the rollout; over all of them, where that leaves none. */
    private static double middle(HeadView view, double[] row) {
        double all = 0;
        double inner = 0;
        int count = 0;
        for (int k : view.keyFrames()) {
            all += row[k];
            if (k > 0 && k < row.length - 1) {
                inner += row[k];
                count++;
            }
        }
        int keys = view.keyFrames().length;
        return count > 0 ? inner / count : keys > 0 ? all / keys : Double.NaN;
    }
}
