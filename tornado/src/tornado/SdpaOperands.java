package tornado;

import java.util.List;
import uk.ac.manchester.tornado.api.common.LibraryTaskDescriptor;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

/**
 * One attention of cuDNN: o = softmax(q k^T scale) v in float16, with logits and sums in float32. {@code q} and {@code o} are [batch,
 * heads, rows, headDim], {@code k} and {@code v} [batch, heads, keys, headDim]. Rows beyond the queries of the pass hold what was there
 * before, and nobody reads what becomes of them.
 *
 * @param arrays q, k, v and o
 * @param rows the most queries of one sample
 */
record SdpaOperands(List<Object> arrays, int rows, LibraryCall.Sdpa call) implements LibraryOperands {
    /** Which of the parameters the function writes. */
    private static final int RESULT = 3;

    private static final boolean CAUSAL = false;

    /** Whether cuDNN has this attention: its heads are multiples of 8, of at most 256. */
    static boolean supports(int headDim) {
        return headDim % 8 == 0 && headDim <= 256;
    }

    ShortArray q() {
        return (ShortArray) arrays.get(0);
    }

    ShortArray k() {
        return (ShortArray) arrays.get(1);
    }

    ShortArray v() {
        return (ShortArray) arrays.get(2);
    }

    ShortArray o() {
        return (ShortArray) arrays.get(3);
    }

    /** The call. */
    static LibraryTaskDescriptor sdpa(SdpaOperands of) {
        LibraryCall.Sdpa call = of.call;
        float scale = (float) (1 / Math.sqrt(call.headDim()));
        return LibraryOperands.call(
                Library.CUDNN,
                "sdpaForward",
                RESULT,
                of.q(),
                of.k(),
                of.v(),
                of.o(),
                call.batch(),
                call.heads(),
                of.rows,
                call.keys(),
                call.headDim(),
                scale,
                CAUSAL);
    }
}
