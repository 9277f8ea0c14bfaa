package tornado;

import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import wan.op.DType;

/** What a library is called for. It is part of what is recorded: the numbers of a slot do not reach a library. */
sealed interface LibraryCall {
    Library library();

    /** The types of the operands. */
    List<DType> types();

    /** Elements of each operand, with the most rows there may be. */
    List<Long> elements(int rows);

    /** The calls that differ from this one only in what changes from pass to pass: recorded with it, compiled when first run. */
    default List<LibraryCall> alternatives() {
        return List.of(this);
    }

    /** The alternative with the largest operands: it stands for all where room is made. */
    default LibraryCall largest() {
        return this;
    }

    /** Whether no operand is longer than {@code limit}. */
    default boolean fits(int rows, long limit) {
        return Collections.max(elements(rows)) <= limit;
    }

    /**
     * One attention: o [batch, heads, rows, headDim] of as many queries, and of the keys and values of so many pages.
     *
     * @param capacity pages of the cache
     */
    record Sdpa(int batch, int heads, int headDim, int pageTokens, int pages, int capacity) implements LibraryCall {
        int keys() {
            return pages * pageTokens;
        }

        private Sdpa of(int count) {
            return new Sdpa(batch, heads, headDim, pageTokens, count, capacity);
        }

        @Override
        public Library library() {
            return Library.CUDNN;
        }

        @Override
        public List<DType> types() {
            return Collections.nCopies(4, DType.F16);
        }

        @Override
        public List<Long> elements(int rows) {
            long token = (long) batch * heads * headDim;
            return List.of(token * rows, token * keys(), token * keys(), token * rows);
        }

        @Override
        public List<LibraryCall> alternatives() {
            return IntStream.rangeClosed(1, capacity)
                    .<LibraryCall>mapToObj(this::of)
                    .toList();
        }

        @Override
        public LibraryCall largest() {
            return of(capacity);
        }
    }
}
