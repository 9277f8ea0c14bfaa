package wan.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.jvm.RecordingTap;

/** An attention whose frames of queries have an edit each, and all that is captured of it, against float64. */
public class QueryGroupsTest {
    private static final int GROUPS = 3;
    private static final int GROUP = 2;
    private static final int QUERIES = GROUPS * GROUP;
    private static final int PAGES = 4;
    private static final int TOKENS = 2;
    private static final int KEYS = PAGES * TOKENS;
    private static final int HEADS = 2;
    private static final int D = 16;

    /** The backend that is tested. */
    protected Ops open() {
        return new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO));
    }

    /** Samples side by side. */
    protected int batch() {
        return 2;
    }

    private static float[] random(int length, long seed) {
        Random random = new Random(seed);
        float[] values = new float[length];
        for (int i = 0; i < length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    /** What a head adds to the logits of a page's keys, for the queries of a group. */
    private static float bias(int group, int head, int page) {
        return page == (group + head) % 3 ? Float.NEGATIVE_INFINITY : head == 1 ? 0.5f * group * page : 0;
    }

    @Test
    void everyGroup_hasItsOwnEdit_andCapturesAreOfAll() {
        int batch = batch();
        float[] q = random(batch * QUERIES * HEADS * D, 1);
        float[] k = random(batch * KEYS * HEADS * D, 2);
        float[] v = random(batch * KEYS * HEADS * D, 3);
        List<AttentionEdit> edits = new ArrayList<>();
        for (int group = 0; group < GROUPS; group++) {
            AttentionEdit.Builder edit = new AttentionEdit.Builder(HEADS, PAGES, TOKENS);
            for (int head = 0; head < HEADS; head++) {
                for (int page = 0; page < PAGES; page++) {
                    edit.addBias(head, page, bias(group, head, page));
                }
            }
            edits.add(edit.build());
        }
        Quantity[] all = Quantity.values();
        RecordingTap tap = new RecordingTap(new int[] {0, 1}, all);
        float[] out;
        try (Ops ops = open()) {
            KvTensor cache = ops.kvCache(batch, PAGES, TOKENS, HEADS, D);
            try (Scope _ = ops.scope()) {
                Dyn pages = new Dyn("pages", PAGES);
                pages.set(IntStream.range(0, PAGES).toArray());
                ops.append(cache, tensor(ops, k), tensor(ops, v), pages);
                Tensor result = ops.attention(
                        tensor(ops, q), cache, pages, GROUP, TOKENS, tap, AttentionEdit.ofQueryGroups(edits));
                out = ops.read(result);
            }
        }
        for (int sample = 0; sample < batch; sample++) {
            for (int head = 0; head < HEADS; head++) {
                double[][] logits = new double[QUERIES][KEYS];
                double[][] used = new double[QUERIES][KEYS];
                double[][] weights = new double[QUERIES][KEYS];
                for (int i = 0; i < QUERIES; i++) {
                    for (int j = 0; j < KEYS; j++) {
                        for (int c = 0; c < D; c++) {
                            logits[i][j] += (double) q[((sample * QUERIES + i) * HEADS + head) * D + c]
                                    * k[((sample * KEYS + j) * HEADS + head) * D + c]
                                    / Math.sqrt(D);
                        }
                        used[i][j] = logits[i][j] + bias(i / GROUP, head, j / TOKENS);
                    }
                    double sum = Arrays.stream(used[i]).map(Math::exp).sum();
                    for (int j = 0; j < KEYS; j++) {
                        weights[i][j] = Math.exp(used[i][j]) / sum;
                    }
                    for (int c = 0; c < D; c++) {
                        double expected = 0;
                        for (int j = 0; j < KEYS; j++) {
                            expected += weights[i][j] * v[((sample * KEYS + j) * HEADS + head) * D + c];
                        }
                        assertThat((double) out[((sample * QUERIES + i) * HEADS + head) * D + c])
                                .isCloseTo(expected, within(1e-5));
                    }
                }
                int at = sample * HEADS + head;
                for (Quantity quantity : all) {
                    double[][] of = quantity == Quantity.LOGITS_USED ? used : quantity.isMass() ? weights : logits;
                    double[][] expected = reduced(quantity, of, tap.regions());
                    int size = expected.length * expected[0].length;
                    float[] got = values(tap, quantity, batch, expected);
                    for (int i = 0; i < size; i++) {
                        double value = expected[i / expected[0].length][i % expected[0].length];
                        if (value == Double.NEGATIVE_INFINITY) {
                            assertThat(got[at * size + i]).isEqualTo(Float.NEGATIVE_INFINITY);
                        } else {
                            assertThat((double) got[at * size + i])
                                    .as(quantity + " " + i)
                                    .isCloseTo(value, within(1e-5));
                        }
                    }
                }
            }
        }
    }

    private static float[] values(RecordingTap tap, Quantity quantity, int batch, double[][] like) {
        if (quantity.inTiles()) {
            return tap.tiles(quantity, batch, QUERIES, KEYS);
        }
        assertThat(tap.shape(quantity)).isEqualTo(Shape.of(batch, HEADS, like.length, like[0].length));
        return tap.values(quantity);
    }

    private static double[][] reduced(Quantity quantity, double[][] of, List<int[]> regions) {
        return switch (quantity) {
            case FRAME_LOGITS -> keys(groups(of), false);
            case FRAME_MASS -> keys(groups(of), true);
            case KEY_LOGITS -> groups(of);
            case QUERY_LOGITS -> keys(of, false);
            case QUERY_MASS -> keys(of, true);
            case REGION_LOGITS, REGION_MASS -> means(of, regions);
            case TOKEN_LOGITS, LOGITS_USED -> of;
        };
    }

    private static double[][] groups(double[][] of) {
        return means(
                of,
                IntStream.range(0, GROUPS)
                        .mapToObj(group -> IntStream.range(group * GROUP, (group + 1) * GROUP)
                                .toArray())
                        .toList());
    }

    private static double[][] means(double[][] of, List<int[]> sets) {
        double[][] means = new double[sets.size()][of[0].length];
        for (int set = 0; set < means.length; set++) {
            for (int row : sets.get(set)) {
                for (int j = 0; j < of[0].length; j++) {
                    means[set][j] += of[row][j] / sets.get(set).length;
                }
            }
        }
        return means;
    }

    private static double[][] keys(double[][] of, boolean sums) {
        double[][] out = new double[of.length][PAGES];
        for (int i = 0; i < of.length; i++) {
            for (int j = 0; j < KEYS; j++) {
                out[i][j / TOKENS] += of[i][j] / (sums ? 1 : TOKENS);
            }
        }
        return out;
    }

    private static Tensor tensor(Ops ops, float[] values) {
        Tensor tensor = ops.scratch(Shape.of(values.length / HEADS / D, HEADS * D));
        ops.write(tensor, values);
        return tensor;
    }
}
