package wan.jvm.scalar;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import wan.jvm.kernel.AttentionCall;
import wan.jvm.kernel.ConvolutionCall;
import wan.jvm.kernel.Epilogue;
import wan.jvm.kernel.FrameMass;
import wan.jvm.kernel.HostBytes;
import wan.jvm.kernel.JvmConvolution;
import wan.jvm.kernel.JvmLinear;
import wan.jvm.kernel.Kernels;
import wan.jvm.kernel.PagedKv;
import wan.jvm.kernel.RowAffine;
import wan.jvm.kernel.Workers;
import wan.op.AttentionTap;
import wan.op.DType;

/**
 * Plain loops with double accumulation: the oracle for every vector and device kernel, and the fallback where the Vector API is
 * missing.
 */
public final class ScalarKernels implements Kernels {
    private static final double SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);
    /** Token-logit tiles stay about this large. */
    private static final int TOKEN_TILE_FLOATS = 1 << 20;

    private final Workers workers;
    private final Arena arena = Arena.ofShared();

    public ScalarKernels(Workers workers) {
        this.workers = workers;
    }

    @Override
    public String name() {
        return "scalar";
    }

    @Override
    public PagedKv kvCache(int batch, int pages, int pageTokens, int numHeads, int headDim, DType type) {
        return new PagedKv(batch, pages, pageTokens, numHeads, headDim, 1, type);
    }

    /** [out, in] float32. */
    @Override
    public MemorySegment[] pack(JvmLinear weights) {
        return new MemorySegment[] {
            arena.allocateFrom(ValueLayout.JAVA_FLOAT, weights.weight().toFloats())
        };
    }

    @Override
    public long packedBytes(JvmLinear weights) {
        return (long) Float.BYTES * weights.inFeatures() * weights.outFeatures();
    }

    @Override
    public HostBytes scratch(int rows, JvmLinear weights) {
        return HostBytes.NONE;
    }

    @Override
    public HostBytes scratch(PagedKv cache, int queries, int pages, int keyGroups) {
        return HostBytes.NONE;
    }

    @Override
    public void linear(float[] x, int rows, JvmLinear weights, Epilogue epilogue, float[] y) {
        int in = weights.inFeatures();
        int out = weights.outFeatures();
        MemorySegment w = weights.packed(this)[0];
        workers.ranges(rows, 1, (from, to) -> {
            for (int row = from; row < to; row++) {
                for (int feature = 0; feature < out; feature++) {
                    double sum = weights.bias()[feature];
                    for (int i = 0; i < in; i++) {
                        sum += (double) x[row * in + i] * w.getAtIndex(ValueLayout.JAVA_FLOAT, (long) feature * in + i);
                    }
                    int at = row * out + feature;
                    y[at] = switch (epilogue.kind()) {
                        case STORE -> (float) sum;
                        case GELU -> (float) gelu(sum);
                        case ADD -> (float) (y[at] + sum);
                        case ADD_GATED -> (float) (y[at] + sum * epilogue.gate()[epilogue.gateIndex(row) + feature]);
                    };
                }
            }
        });
    }

    /** 0.5 v (1 + tanh(sqrt(2/pi) (v + 0.044715 v^3))). */
    static double gelu(double v) {
        return 0.5 * v * (1 + Math.tanh(SQRT_2_OVER_PI * (v + 0.044715 * v * v * v)));
    }

    @Override
    public void silu(float[] x, float[] y) {
        for (int i = 0; i < x.length; i++) {
            y[i] = (float) (x[i] / (1 + Math.exp(-(double) x[i])));
        }
    }

    @Override
    public void rmsNorm(float[] x, float[] weight, float eps, float[] y) {
        int dim = weight.length;
        workers.ranges(x.length / dim, 8, (from, to) -> {
            for (int row = from; row < to; row++) {
                double squares = 0;
                for (int i = 0; i < dim; i++) {
                    squares += (double) x[row * dim + i] * x[row * dim + i];
                }
                double factor = 1 / Math.sqrt(squares / dim + eps);
                for (int i = 0; i < dim; i++) {
                    y[row * dim + i] = (float) (x[row * dim + i] * factor * weight[i]);
                }
            }
        });
    }

    @Override
    public void layerNorm(float[] x, int dim, RowAffine affine, float eps, float[] y) {
        workers.ranges(x.length / dim, 8, (from, to) -> {
            for (int row = from; row < to; row++) {
                double mean = 0;
                for (int i = 0; i < dim; i++) {
                    mean += x[row * dim + i];
                }
                mean /= dim;
                double variance = 0;
                for (int i = 0; i < dim; i++) {
                    double deviation = x[row * dim + i] - mean;
                    variance += deviation * deviation;
                }
                double factor = 1 / Math.sqrt(variance / dim + eps);
                int scale = affine.scaleIndex(row);
                int shift = affine.shiftIndex(row);
                for (int i = 0; i < dim; i++) {
                    y[row * dim + i] = (float) ((x[row * dim + i] - mean)
                                    * factor
                                    * ((double) affine.scalePlus() + affine.scale()[scale + i])
                            + affine.shift()[shift + i]);
                }
            }
        });
    }

    @Override
    public void attention(AttentionCall call, float[] out, @Nullable FrameMass mass) {
        int heads = call.cache().numHeads();
        int headDim = call.cache().headDim();
        workers.run(call.cache().batch() * heads * call.queries(), (task, _) -> {
            int query = task % call.queries();
            int head = task / call.queries() % heads;
            int sample = task / call.queries() / heads;
            int pageTokens = call.cache().pageTokens();
            int[] seen = call.seen(head);
            double[] weights = new double[call.keys()]; // 0 where a page is not seen
            double max = Double.NEGATIVE_INFINITY;
            for (int page : seen) {
                logits(call, sample, head, query, page, weights);
                for (int key = page * pageTokens; key < (page + 1) * pageTokens; key++) {
                    weights[key] = weights[key] * call.edit().logitScale(head)
                            + call.edit().bias(head, key);
                    max = Math.max(max, weights[key]);
                }
            }
            double sum = 0;
            for (int page : seen) {
                for (int key = page * pageTokens; key < (page + 1) * pageTokens; key++) {
                    weights[key] = Math.exp(weights[key] - max);
                    sum += weights[key];
                }
            }
            double[] mean = new double[headDim];
            float[] room = new float[call.cache().roomFloats()];
            for (int page : seen) {
                float[] values = call.cache().values(sample, call.pages()[page], head, room);
                for (int token = 0; token < pageTokens; token++) {
                    int key = page * pageTokens + token;
                    weights[key] /= sum;
                    for (int channel = 0; channel < headDim; channel++) {
                        int at = call.cache().valueIndex(channel)
                                + token * call.cache().tile();
                        mean[channel] += weights[key] * values[at];
                    }
                }
            }
            float outputScale = call.edit().outputScale(head);
            int to = call.index(sample, query, head);
            for (int channel = 0; channel < headDim; channel++) {
                out[to + channel] = outputScale == 0 ? 0 : (float) (mean[channel] * outputScale);
            }
            if (mass != null && mass.wants(head)) {
                double[] groups = new double[mass.keyGroups()];
                for (int key = 0; key < weights.length; key++) {
                    groups[key / mass.keyGroupTokens()] += weights[key];
                }
                float[] rounded = new float[groups.length];
                for (int i = 0; i < groups.length; i++) {
                    rounded[i] = (float) groups[i];
                }
                mass.add(sample, head, query, 1, rounded, 1);
            }
        });
    }

    @Override
    public int massTileQueries() {
        return 1;
    }

    @Override
    public void tokenLogits(AttentionCall call, AttentionTap tap) {
        int[] heads = tap.heads();
        int tileRows = Math.clamp(TOKEN_TILE_FLOATS / Math.max(1, call.keys()), 1, 32);
        int tiles = Math.ceilDiv(call.queries(), tileRows);
        workers.run(call.cache().batch() * heads.length * tiles, (task, _) -> {
            int first = task % tiles * tileRows;
            int headIndex = task / tiles % heads.length;
            int sample = task / tiles / heads.length;
            int rows = Math.min(tileRows, call.queries() - first);
            float[] tile = new float[rows * call.keys()];
            double[] logits = new double[call.keys()];
            for (int row = 0; row < rows; row++) {
                for (int page = 0; page < call.pages().length; page++) {
                    logits(call, sample, heads[headIndex], first + row, page, logits);
                }
                for (int key = 0; key < logits.length; key++) {
                    tile[row * logits.length + key] = (float) logits[key];
                }
            }
            call.edit().deliver(tap, sample, headIndex, heads[headIndex], first, rows, call.keys(), tile);
        });
    }

    /** Logits of one query with the keys of one attended page, at these keys' places in {@code logits}. */
    private static void logits(AttentionCall call, int sample, int head, int query, int page, double[] logits) {
        PagedKv cache = call.cache();
        if (!cache.holds(sample, call.pages()[page], head)) {
            Arrays.fill(logits, page * cache.pageTokens(), (page + 1) * cache.pageTokens(), Double.NaN);
            return;
        }
        float[] keys =
                cache.keys(sample, call.pages()[page], head, 0, cache.pageTokens(), new float[cache.roomFloats()]);
        int from = call.index(sample, query, head);
        for (int token = 0; token < cache.pageTokens(); token++) {
            int at = cache.keyIndex(token);
            double sum = 0;
            for (int channel = 0; channel < cache.headDim(); channel++) {
                sum += (double) call.q()[from + channel] * keys[at + channel * cache.tile()];
            }
            logits[page * cache.pageTokens() + token] = sum * call.scale();
        }
    }

    @Override
    public float[] pack(JvmConvolution weights) {
        return weights.weight().toFloats();
    }

    @Override
    public void convolve(ConvolutionCall call) {
        new ScalarConvolution(call, call.weights().packed(this)).run(workers);
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
