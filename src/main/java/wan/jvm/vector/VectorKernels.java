package wan.jvm.vector;

import static wan.jvm.vector.Lanes.FLOAT;
import static wan.jvm.vector.Lanes.PANEL;
import static wan.jvm.vector.Lanes.TILE;
import static wan.jvm.vector.Lanes.WIDTH;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
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
 * The kernels on the Vector API, in the one width that {@link Lanes} chose.
 *
 * <p>Float vectors are never reduced with {@code reduceLanes}: its order is undefined, and differs between interpreted and
 * compiled code. Lanes are stored and summed in order.
 */
public final class VectorKernels implements Kernels {
    private final Workers workers;
    private final Arena arena = Arena.ofShared();
    private final VectorLinear linear;
    private final VectorAttention attention;
    private final VectorConvolution convolution;

    public VectorKernels(Workers workers) {
        this.workers = workers;
        linear = new VectorLinear(workers, arena);
        attention = new VectorAttention(workers, arena);
        convolution = new VectorConvolution(workers, arena);
    }

    @Override
    public String name() {
        return "vector-" + FLOAT.vectorBitSize();
    }

    @Override
    public PagedKv kvCache(int batch, int pages, int pageTokens, int numHeads, int headDim, DType type) {
        return new PagedKv(batch, pages, pageTokens, numHeads, headDim, TILE, type);
    }

    @Override
    public MemorySegment[] pack(JvmLinear weights) {
        return PackedWeights.pack(weights, arena, workers);
    }

    @Override
    public long packedBytes(JvmLinear weights) {
        return PackedWeights.bytes(weights);
    }

    @Override
    public HostBytes scratch(int rows, JvmLinear weights) {
        return linear.scratch(rows, weights);
    }

    @Override
    public HostBytes scratch(PagedKv cache, int queries, int pages, int keyGroups) {
        return attention.scratch(cache, queries, pages, keyGroups);
    }

    @Override
    public void linear(float[] x, int rows, JvmLinear weights, Epilogue epilogue, float[] y) {
        linear.run(x, rows, weights, weights.packed(this), epilogue, y);
    }

    @Override
    public void silu(float[] x, float[] y) {
        int whole = FLOAT.loopBound(x.length);
        siluVectors(x, y, whole);
        float[] tail = new float[WIDTH];
        System.arraycopy(x, whole, tail, 0, x.length - whole);
        siluVectors(tail, tail, WIDTH);
        System.arraycopy(tail, 0, y, whole, x.length - whole);
    }

    private static void siluVectors(float[] x, float[] y, int count) {
        for (int i = 0; i < count; i += WIDTH) {
            VectorMath.silu(FloatVector.fromArray(FLOAT, x, i)).intoArray(y, i);
        }
    }

    @Override
    public void rmsNorm(float[] x, float[] weight, float eps, float[] y) {
        int dim = weight.length;
        workers.ranges(x.length / dim, 8, (from, to) -> {
            float[] lanes = new float[WIDTH];
            for (int row = from; row < to; row++) {
                int at = row * dim;
                double squares = squaredDeviations(x, at, dim, 0, lanes);
                float factor = (float) (1 / Math.sqrt(squares / dim + eps));
                scale(x, at, dim, factor, weight, y);
            }
        });
    }

    /** y = x * factor * weight over one row. */
    private static void scale(float[] x, int at, int dim, float factor, float[] weight, float[] y) {
        int whole = FLOAT.loopBound(dim);
        for (int i = 0; i < whole; i += WIDTH) {
            FloatVector.fromArray(FLOAT, x, at + i)
                    .mul(factor)
                    .mul(FloatVector.fromArray(FLOAT, weight, i))
                    .intoArray(y, at + i);
        }
        for (int i = whole; i < dim; i++) {
            y[at + i] = x[at + i] * factor * weight[i];
        }
    }

    @Override
    public void layerNorm(float[] x, int dim, RowAffine affine, float eps, float[] y) {
        workers.ranges(x.length / dim, 8, (from, to) -> {
            float[] lanes = new float[WIDTH];
            for (int row = from; row < to; row++) {
                int at = row * dim;
                float mean = (float) (sum(x, at, dim, lanes) / dim);
                double variance = squaredDeviations(x, at, dim, mean, lanes) / dim;
                float factor = (float) (1 / Math.sqrt(variance + eps));
                normalize(x, at, dim, mean, factor, affine, affine.scaleIndex(row), affine.shiftIndex(row), y);
            }
        });
    }

    /** y = (x - mean) * factor * scale + shift over one row. */
    private static void normalize(
            float[] x,
            int at,
            int dim,
            float mean,
            float factor,
            RowAffine affine,
            int scaleAt,
            int shiftAt,
            float[] y) {
        float[] scale = affine.scale();
        float[] shift = affine.shift();
        float plus = affine.scalePlus();
        int whole = FLOAT.loopBound(dim);
        for (int i = 0; i < whole; i += WIDTH) {
            FloatVector.fromArray(FLOAT, x, at + i)
                    .sub(mean)
                    .mul(factor)
                    .fma(
                            FloatVector.fromArray(FLOAT, scale, scaleAt + i).add(plus),
                            FloatVector.fromArray(FLOAT, shift, shiftAt + i))
                    .intoArray(y, at + i);
        }
        for (int i = whole; i < dim; i++) {
            y[at + i] = Math.fma((x[at + i] - mean) * factor, scale[scaleAt + i] + plus, shift[shiftAt + i]);
        }
    }

    private static double sum(float[] x, int at, int count, float[] lanes) {
        FloatVector sums = FloatVector.zero(FLOAT);
        int whole = FLOAT.loopBound(count);
        for (int i = 0; i < whole; i += WIDTH) {
            sums = sums.add(FloatVector.fromArray(FLOAT, x, at + i));
        }
        sums.intoArray(lanes, 0);
        double sum = total(lanes);
        if (!Double.isFinite(sum)) { // perhaps only beyond a float
            sum = 0;
            whole = 0;
        }
        for (int i = whole; i < count; i++) {
            sum += x[at + i];
        }
        return sum;
    }

    /** Sum of (x - center)^2. */
    private static double squaredDeviations(float[] x, int at, int count, float center, float[] lanes) {
        FloatVector sums = FloatVector.zero(FLOAT);
        int whole = FLOAT.loopBound(count);
        for (int i = 0; i < whole; i += WIDTH) {
            FloatVector deviation = FloatVector.fromArray(FLOAT, x, at + i).sub(center);
            sums = deviation.fma(deviation, sums);
        }
        sums.intoArray(lanes, 0);
        double sum = total(lanes);
        if (!Double.isFinite(sum)) { // perhaps only beyond a float: a factor of 0 would make numbers of it
            sum = 0;
            whole = 0;
        }
        for (int i = whole; i < count; i++) {
            double deviation = x[at + i] - center;
            sum += deviation * deviation;
        }
        return sum;
    }

    private static double total(float[] lanes) {
        double total = 0;
        for (float lane : lanes) {
            total += lane;
        }
        return total;
    }

    @Override
    public void attention(AttentionCall call, float[] out, @Nullable FrameMass mass) {
        attention.run(call, out, mass);
    }

    @Override
    public int massTileQueries() {
        return PANEL;
    }

    @Override
    public void tokenLogits(AttentionCall call, AttentionTap tap) {
        attention.tokenLogits(call, tap);
    }

    @Override
    public float[] pack(JvmConvolution weights) {
        return VectorConvolution.pack(weights);
    }

    @Override
    public void convolve(ConvolutionCall call) {
        convolution.run(call, call.weights().packed(this));
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
