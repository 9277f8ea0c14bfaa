package tornado;

import wan.op.Dyn;

/** What the host reads of values that change from step to step. */
final class Present {
    private Present() {}

    /** The present values. */
    static int[] values(Dyn dyn) {
        int[] values = new int[dyn.count()];
        for (int i = 0; i < values.length; i++) {
            values[i] = dyn.get(i);
        }
        return values;
    }
}
