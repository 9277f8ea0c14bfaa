package wan.jvm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import wan.op.AttentionTap;
import wan.op.CachePart;
import wan.op.Dyn;
import wan.op.Grid;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.Ops;
import wan.op.Quantity;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.Tensor;

/**
 * Every operation with one number that is not an ordinary one, beside the oracle: where the oracle's result is not a finite
 * number, no finite one may come out; where it is, that number or, of a number that a float's sums cannot hold, nothing finite.
 */
public final class SpecialNumbers {
    /** NaN of several payloads, quiet and signalling, of both signs. */
    private static final int[] NANS = {
        0x7fc00000, 0x7fffffff, 0x7fc00001, 0x7f800001, 0xffc00000, 0xffffffff, 0xff800001
    };

    private static final List<Float> SPECIAL = special();

    /** How a kernel may differ where the oracle's result is finite. */
    private final double tolerance;

    /** Beyond this size sums of squares or of products leave the range of a float. */
    private static final float HUGE = 1e12f;

    private final Ops oracle;
    private final Ops twin;
    private final Random random = new Random(5);
    private final List<String> wrong = new ArrayList<>();

    private SpecialNumbers(Ops oracle, Ops twin, double tolerance) {
        this.oracle = oracle;
        this.twin = twin;
        this.tolerance = tolerance;
    }

    private static List<Float> special() {
        List<Float> all = new ArrayList<>();
        for (int bits : NANS) {
            all.add(Float.intBitsToFloat(bits));
        }
        all.addAll(
                List.of(Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.MAX_VALUE, -Float.MAX_VALUE, -1e30f));
        all.addAll(List.of(1e20f, Float.MIN_VALUE, -Float.MIN_VALUE, Float.MIN_NORMAL / 2, -0f));
        return all;
    }

    /**
     * Tries all operations.
     *
     * @param tolerance of finite results, relative to them or 1
     * @return one line for each wrong result
     */
    public static List<String> check(Ops oracle, Ops twin, double tolerance) {
        SpecialNumbers numbers = new SpecialNumbers(oracle, twin, tolerance);
        for (float special : SPECIAL) {
            numbers.linear(special);
            numbers.rows(special);
            numbers.modulation(special);
            numbers.attention(special);
            numbers.patches(special);
        }
        return numbers.wrong;
    }

    /** The same computation on one backend. */
    private interface Run {
        List<float[]> on(Ops ops);
    }

    private float[] random(int count) {
        return Tensors.random(random, count, true);
    }

    /** One number in the vectors' body, one in what is left over. */
    private static float[] with(float[] values, int row, int dim, float special) {
        values[row * dim + dim / 3] = special;
        values[(row + 1) * dim + dim - 1] = special;
        return values;
    }

    private void linear(float special) {
        int rows = 17;
        int in = 37;
        int out = 45;
        for (int place = 0; place < 5; place++) {
            float[][] operands = {
                random(rows * in), random(out * in), random(out), random(rows * out), random(rows * 2 * out)
            };
            int[] dims = {in, in, out, out, out};
            if (place == 2) {
                operands[2][out - 1] = special;
                operands[2][3] = special;
            } else {
                with(operands[place], 3, dims[place], special);
            }
            compare("linear, operand " + place, special, ops -> {
                Linear linear =
                        ops.linearWeights(Tensors.f32("w", operands[1], out, in), Tensors.f32("b", operands[2], out));
                Tensor x = tensor(ops, operands[0], rows, in);
                Tensor added = tensor(ops, operands[3], rows, out);
                Tensor gated = tensor(ops, operands[3], rows, out);
                ops.linearResidual(added, x, linear);
                ops.linearGatedResidual(gated, x, linear, tensor(ops, operands[4], rows, 2, out), 1);
                return List.of(
                        ops.read(ops.linear(x, linear)),
                        ops.read(ops.linearGelu(x, linear)),
                        ops.read(added),
                        ops.read(gated));
            });
        }
    }

    private void rows(float special) {
        int rows = 6;
        int dim = 45;
        for (int place = 0; place < 4; place++) {
            float[] x = random(rows * dim);
            float[] weight = random(dim);
            float[] bias = random(dim);
            float[] modulation = random(rows * 3 * dim);
            switch (place) {
                case 0 -> with(x, 2, dim, special);
                case 1 -> weight[dim - 1] = special;
                case 2 -> bias[7] = special;
                default -> with(modulation, 4, dim, special);
            }
            compare("rows, operand " + place, special, ops -> {
                Tensor input = tensor(ops, x, rows, dim);
                Tensor w = ops.parameter(Tensors.f32("w", weight, dim));
                return List.of(
                        ops.read(ops.silu(input)),
                        ops.read(ops.rmsNorm(input, w, 1e-6f)),
                        ops.read(ops.layerNorm(input, w, ops.parameter(Tensors.f32("b", bias, dim)), 1e-6f)),
                        ops.read(ops.layerNormModulate(input, tensor(ops, modulation, rows, 3, dim), 0, 2, 1e-6f)));
            });
        }
    }

    private void modulation(float special) {
        float[] table = random(6 * 20);
        float[] embedding = random(2 * 20);
        float[] x = random(8 * 96);
        table[33] = special;
        embedding[5] = special;
        with(x, 2, 96, special);
        compare("modulation and rope", special, ops -> {
            Tensor rotated = tensor(ops, x, 8, 96);
            Dyn positions = new Dyn("positions", 2);
            positions.set(3, 4);
            ops.rope(rotated, 4, new Grid(2, 2, 2), positions);
            return List.of(
                    ops.read(ops.modulation(
                            ops.parameter(Tensors.f32("table", table, 1, 6, 20)), tensor(ops, embedding, 2, 20))),
                    ops.read(rotated));
        });
    }

    private void attention(float special) {
        int heads = 2;
        int headDim = 20;
        int dim = heads * headDim;
        int queries = 35;
        int pageTokens = 30;
        for (int place = 0; place < 3; place++) {
            float[] q = random(queries * dim);
            float[] k = random(2 * pageTokens * dim);
            float[] v = random(2 * pageTokens * dim);
            float[] to = place == 0 ? q : place == 1 ? k : v;
            to[5 * dim + 3] = special;
            to[(place == 0 ? 33 : 59) * dim + 22] = special;
            compare("attention, operand " + place, special, ops -> {
                KvTensor cache = ops.kvCache(1, 2, pageTokens, heads, headDim);
                Dyn pages = new Dyn("pages", 2);
                pages.set(1, 0);
                ops.append(cache, tensor(ops, k, 2L * pageTokens, dim), tensor(ops, v, 2L * pageTokens, dim), pages);
                Tensor input = tensor(ops, q, queries, dim);
                RecordingTap tap = new RecordingTap(new int[] {0, 1}, Quantity.values());
                float[] plain = ops.read(ops.attention(input, cache, pages, queries, 15, AttentionTap.NONE));
                List<float[]> results = new ArrayList<>(List.of(
                        plain,
                        ops.read(ops.attention(input, cache, pages, queries, 15, tap)),
                        tap.tokenLogits(1, queries, 2 * pageTokens)));
                for (Quantity quantity : Quantity.values()) {
                    if (!quantity.inTiles()) {
                        results.add(tap.values(quantity));
                    }
                }
                for (CachePart part : CachePart.values()) {
                    results.add(ops.readPages(cache, part, new int[] {1, 0}));
                    results.add(ops.read(ops.loadPages(cache, part, pages)));
                }
                ops.release(cache);
                return results;
            });
        }
    }

    private void patches(float special) {
        float[] latents = random(2 * 16 * 4 * 6);
        float[] patches = random(12 * 64);
        with(latents, 3, 20, special);
        with(patches, 3, 64, special);
        compare(
                "patches",
                special,
                ops -> List.of(
                        ops.read(ops.patchify(tensor(ops, latents, 1, 2, 16, 4, 6))),
                        ops.read(ops.unpatchify(tensor(ops, patches, 12, 64), new Grid(2, 2, 3)))));
    }

    private void compare(String what, float special, Run run) {
        List<float[]> right;
        List<float[]> got;
        try (Scope _ = oracle.scope()) {
            right = run.on(oracle);
        }
        try (Scope _ = twin.scope()) {
            got = run.on(twin);
        }
        for (int i = 0; i < right.size(); i++) {
            compare(
                    "%s, result %d, with %s (%08x)".formatted(what, i, special, Float.floatToRawIntBits(special)),
                    special,
                    right.get(i),
                    got.get(i));
        }
    }

    private void compare(String what, float special, float[] right, float[] got) {
        if (right.length != got.length) {
            throw new AssertionError(what + ": " + Arrays.toString(new int[] {right.length, got.length}));
        }
        for (int j = 0; j < right.length; j++) {
            boolean good;
            if (!Float.isFinite(right[j])) {
                good = !Float.isFinite(got[j]);
            } else if (!Float.isFinite(got[j])) {
                good = !(Math.abs(special) < HUGE);
            } else {
                good = Math.abs(got[j] - right[j]) <= tolerance * Math.max(1, Math.abs(right[j]));
            }
            if (!good) {
                wrong.add("%s, at %d: expected %s, got %s".formatted(what, j, right[j], got[j]));
                return;
            }
        }
    }

    private static Tensor tensor(Ops ops, float[] values, long... dims) {
        Tensor tensor = ops.scratch(Shape.of(dims));
        ops.write(tensor, values);
        return tensor;
    }
}
