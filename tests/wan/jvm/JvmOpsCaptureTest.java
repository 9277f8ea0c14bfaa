package wan.jvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import wan.jvm.onednn.OneDnnTest;
import wan.op.AttentionTap;
import wan.op.Dyn;
import wan.op.KvTensor;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;

/** Every captured quantity against its definition, spelled out over all token pairs. */
class JvmOpsCaptureTest {
    private static final int BATCH = 2;
    private static final int HEADS = 3;
    private static final int[] WATCHED = {0, 2};

    @ParameterizedTest
    @CsvSource({
        // kernels, headDim, queries, queryGroup, pageTokens, pages, keyGroup
        "SCALAR,8,6,3,5,3,5",
        "SCALAR,5,4,4,7,1,1",
        "SCALAR,8,6,2,6,2,3",
        "VECTOR,128,96,48,40,3,40",
        "VECTOR,24,70,35,35,4,35",
        "VECTOR,5,37,37,77,1,1",
        "VECTOR,20,12,6,6,3,6",
        "VECTOR,16,66,11,528,2,264",
        "VECTOR,16,33,3,600,2,50",
        "ONEDNN_F32,128,96,48,40,3,40",
        "ONEDNN_F32,5,37,37,77,1,1",
        "ONEDNN_F32,20,12,6,6,3,6",
        "ONEDNN_F32,16,66,11,528,2,264",
        "ONEDNN_F32,16,300,150,650,2,50",
        "ONEDNN_BF16,128,96,48,40,3,40",
        "ONEDNN_BF16,24,70,35,35,4,35",
        "ONEDNN_BF16,5,37,37,77,1,1",
        "ONEDNN_BF16,16,300,150,650,2,50",
    })
    void attention_deliversWhatTheDefinitionsSay_andTheSameOutput(
            JvmOptions.Kind kernels,
            int headDim,
            int queries,
            int queryGroup,
            int pageTokens,
            int pages,
            int keyGroup) {
        int dim = HEADS * headDim;
        int keys = pages * pageTokens;
        OneDnnTest.assumeThere(kernels);
        Random random = new Random(7);
        // What bfloat16 can hold: then logits and masses are as exact as with float32.
        boolean round = kernels == JvmOptions.Kind.ONEDNN_BF16;
        float[] q = Tensors.random(random, BATCH * queries * dim, round);
        float[] k = Tensors.random(random, BATCH * keys * dim, round);
        float[] v = Tensors.random(random, BATCH * keys * dim, round);
        try (JvmOps ops = new JvmOps(new JvmOptions(2, kernels));
                Scope _ = ops.scope()) {
            KvTensor cache = ops.kvCache(BATCH, pages + 1, pageTokens, HEADS, headDim);
            Dyn order = new Dyn("pages", pages);
            int[] numbers = new int[pages];
            for (int i = 0; i < pages; i++) {
                numbers[i] = pages - i; // page 0 stays unwritten, the others are in reverse
            }
            order.set(numbers);
            ops.append(cache, tensor(ops, k, dim), tensor(ops, v, dim), order);
            Tensor queriesTensor = tensor(ops, q, dim);
            Tensor plain = ops.attention(queriesTensor, cache, order, queryGroup, keyGroup, AttentionTap.NONE);
            RecordingTap tap = new RecordingTap(WATCHED, Quantity.values());
            Tensor watched = ops.attention(queriesTensor, cache, order, queryGroup, keyGroup, tap);
            assertThat(ops.read(watched)).isEqualTo(ops.read(plain));

            int f = queries / queryGroup;
            int groups = keys / keyGroup;
            assertThat(tap.shape(Quantity.FRAME_LOGITS)).isEqualTo(Shape.of(BATCH, 2, f, groups));
            assertThat(tap.shape(Quantity.FRAME_MASS)).isEqualTo(Shape.of(BATCH, 2, f, groups));
            assertThat(tap.shape(Quantity.KEY_LOGITS)).isEqualTo(Shape.of(BATCH, 2, f, keys));
            assertThat(tap.shape(Quantity.QUERY_LOGITS)).isEqualTo(Shape.of(BATCH, 2, queries, groups));
            assertThat(tap.shape(Quantity.QUERY_MASS)).isEqualTo(Shape.of(BATCH, 2, queries, groups));
            assertThat(tap.shape(Quantity.REGION_LOGITS)).isEqualTo(Shape.of(BATCH, 2, 2, keys));
            assertThat(tap.shape(Quantity.REGION_MASS)).isEqualTo(Shape.of(BATCH, 2, 2, keys));
            float[] tokens = tap.tokenLogits(BATCH, queries, keys);
            double tolerance = 3e-6 * Math.sqrt(headDim);
            for (int plane = 0; plane < BATCH * 2; plane++) {
                double[] logits = logits(q, k, headDim, queries, keys, plane / 2, WATCHED[plane % 2]);
                double[] frame = new double[f * groups];
                double[] key = new double[f * keys];
                double[] query = new double[queries * groups];
                double[] mass = new double[f * groups];
                double[] queryMass = new double[queries * groups];
                double[] regionLogits = new double[2 * keys];
                double[] regionMass = new double[2 * keys];
                for (int i = 0; i < queries; i++) {
                    double sum = 0;
                    for (int j = 0; j < keys; j++) {
                        sum += Math.exp(logits[i * keys + j]);
                    }
                    for (int j = 0; j < keys; j++) {
                        double logit = logits[i * keys + j];
                        int group = i / queryGroup;
                        frame[group * groups + j / keyGroup] += logit / queryGroup / keyGroup;
                        key[group * keys + j] += logit / queryGroup;
                        query[i * groups + j / keyGroup] += logit / keyGroup;
                        mass[group * groups + j / keyGroup] += Math.exp(logit) / sum / queryGroup;
                        queryMass[i * groups + j / keyGroup] += Math.exp(logit) / sum;
                        for (int region = 0; region < 2; region++) {
                            int[] members = tap.regions().get(region);
                            if (Arrays.binarySearch(members, i) >= 0) {
                                regionLogits[region * keys + j] += logit / members.length;
                                regionMass[region * keys + j] += Math.exp(logit) / sum / members.length;
                            }
                        }
                    }
                }
                check(tokens, plane, logits, tolerance);
                check(tap.values(Quantity.FRAME_LOGITS), plane, frame, tolerance);
                check(tap.values(Quantity.KEY_LOGITS), plane, key, tolerance);
                check(tap.values(Quantity.QUERY_LOGITS), plane, query, tolerance);
                check(tap.values(Quantity.FRAME_MASS), plane, mass, 2e-6);
                check(tap.values(Quantity.QUERY_MASS), plane, queryMass, 2e-6);
                check(tap.values(Quantity.REGION_LOGITS), plane, regionLogits, tolerance);
                check(tap.values(Quantity.REGION_MASS), plane, regionMass, 2e-6);
            }
        }
    }

    private static Tensor tensor(JvmOps ops, float[] values, int dim) {
        Tensor tensor = ops.scratch(Shape.of(values.length / dim, dim));
        ops.write(tensor, values);
        return tensor;
    }

    private static double[] logits(float[] q, float[] k, int headDim, int queries, int keys, int sample, int head) {
        double[] logits = new double[queries * keys];
        for (int i = 0; i < queries; i++) {
            for (int j = 0; j < keys; j++) {
                double sum = 0;
                for (int c = 0; c < headDim; c++) {
                    sum += (double) q[((sample * queries + i) * HEADS + head) * headDim + c]
                            * k[((sample * keys + j) * HEADS + head) * headDim + c];
                }
                logits[i * keys + j] = sum / Math.sqrt(headDim);
            }
        }
        return logits;
    }

    private static void check(float[] got, int plane, double[] expected, double tolerance) {
        for (int i = 0; i < expected.length; i++) {
            assertThat((double) got[plane * expected.length + i])
                    .as("plane %d, element %d", plane, i)
                    .isCloseTo(expected[i], within(tolerance));
        }
    }
}
