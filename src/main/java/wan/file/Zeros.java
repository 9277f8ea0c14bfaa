package wan.file;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import wan.op.FormatException;
import wan.op.TensorView;

/**
 * Zeros where weights should be: what a download leaves whose place was reserved and whose data never came.
 *
 * <p>Of every page of a file a word is read, and more only where that is zero: a missing piece of 20 KiB cannot pass, nor can a missing end.
 * Shorter zeros in the middle are not looked for, since single rows may be zero: what a neuron that was pruned leaves.
 */
public final class Zeros {
    private static final long STRIDE_BYTES = 4096;
    private static final long SAMPLE_BYTES = 16 * 1024;
    private static final long END_BYTES = 256;
    /** Rows of tokens that no text has may be zero. */
    private static final long TABLE_BYTES = 1 << 20;

    private static final int LEAST_ELEMENTS = 64;
    private static final int MOST_LISTED = 6;

    private Zeros() {}

    /**
     * The tensors that hold zeros where a trained one has none: matrices of which a piece is nothing but zeros, others that end in zeros.
     * A bias of zeros is none of them.
     *
     * @param tables of which single rows may be zero
     * @return names, in the order asked
     */
    public static List<String> in(TensorStore store, Collection<String> names, Set<String> tables) {
        return names.parallelStream()
                .filter(name -> tables.contains(name) ? inTable(store.tensor(name)) : in(store.tensor(name)))
                .toList();
    }

    /** What is wrong with such a file, and what to do. */
    public static String describe(List<String> names, int all) {
        return names.size() + " of " + all
                + " tensors contain large parts with only zeros, unlike trained ones: "
                + Messages.listed(names, MOST_LISTED) + "; an unfinished download? fetch the file again";
    }

    /**
     * Refuses a file with such tensors.
     *
     * @throws FormatException with their names
     */
    public static void refuse(TensorStore store, Collection<String> names, Set<String> tables) {
        List<String> zeros = in(store, names, tables);
        if (!zeros.isEmpty()) {
            throw new FormatException(store.path(), describe(zeros, names.size()));
        }
    }

    private static boolean in(TensorView view) {
        MemorySegment data = view.data();
        long bytes = data.byteSize();
        if (view.shape().size() < LEAST_ELEMENTS) {
            return false;
        }
        if (view.shape().rank() < 2) {
            long quarter = bytes / 4;
            return isZero(data, bytes - quarter, quarter) && !isZero(data, 0, bytes);
        }
        long end = Math.min(END_BYTES, bytes);
        return isZero(data, bytes - end, end) || sampled(data, Math.min(SAMPLE_BYTES, bytes));
    }

    private static boolean inTable(TensorView view) {
        long bytes = view.data().byteSize();
        return bytes > 0 && sampled(view.data(), Math.min(TABLE_BYTES, bytes));
    }

    private static boolean sampled(MemorySegment data, long sampleBytes) {
        long last = data.byteSize() - sampleBytes;
        for (long at = 0; at < last; at += STRIDE_BYTES) {
            if (isZero(data, at, sampleBytes)) {
                return true;
            }
        }
        return isZero(data, last, sampleBytes);
    }

    private static boolean isZero(MemorySegment data, long from, long bytes) {
        long at = from;
        for (; at + Long.BYTES <= from + bytes; at += Long.BYTES) {
            if (data.get(ValueLayout.JAVA_LONG_UNALIGNED, at) != 0) {
                return false;
            }
        }
        for (; at < from + bytes; at++) {
            if (data.get(ValueLayout.JAVA_BYTE, at) != 0) {
                return false;
            }
        }
        return true;
    }
}
