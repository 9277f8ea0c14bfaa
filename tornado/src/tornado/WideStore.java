package tornado;

import org.jspecify.annotations.Nullable;
import wan.op.DType;

/** Room for what has been widened to float32, as large as the largest that was asked for. */
final class WideStore implements Store {
    private int floats;
    private int present;
    private @Nullable Object array;

    /** Makes room for so many. */
    void reserve(int more) {
        floats = Math.max(floats, more);
    }

    /** What there is room for. */
    int floats() {
        return floats;
    }

    @Override
    public Object array() {
        Object now = array;
        if (now == null || changed()) {
            now = Store.larger(now, DType.F32, floats);
            present = floats;
            array = now;
        }
        return now;
    }

    @Override
    public boolean changed() {
        return present < floats;
    }

    @Override
    public Use use() {
        return Use.SCRATCH;
    }

    @Override
    public DType dtype() {
        return DType.F32;
    }

    @Override
    public long bytes() {
        return DType.F32.bytes(floats);
    }
}
