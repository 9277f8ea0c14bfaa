package wan.op;

import java.util.Arrays;

/** Checks the arguments of operations on single heads for every backend. */
public final class HeadShapes {
    private HeadShapes() {}

    /**
     * Checks a tensor and a choice of its heads.
     *
     * @param x expected to be [R, numHeads * headDim]
     * @param heads expected to be ascending and below {@code numHeads}
     * @throws WanException if they are not
     */
    public static void check(String op, Shape x, int numHeads, int[] heads) {
        if (numHeads < 1 || x.rank() != 2 || x.dim(1) % numHeads != 0) {
            throw WanException.mismatch(op, "[R, " + numHeads + " heads]", x, "");
        }
        for (int i = 0; i < heads.length; i++) {
            if (heads[i] < (i == 0 ? 0 : heads[i - 1] + 1) || heads[i] >= numHeads) {
                throw WanException.mismatch(op, "ascending heads below " + numHeads, Arrays.toString(heads), "");
            }
        }
    }
}
