package wan.jvm.vector;

import static wan.jvm.vector.Lanes.FLOAT;
import static wan.jvm.vector.Lanes.WIDTH;

import jdk.incubator.vector.FloatVector;
import wan.jvm.kernel.Workers;

/**
 * The rate at which the processor at this moment multiplies and adds in registers alone, with which every kernel is compared.
 *
 * <p>Clocks drift by a fifth and more, so measure it again beside each kernel and compare only the two.
 */
public final class FmaCeiling implements AutoCloseable {
    private static final int CHAINS = 12;
    private static final int STEPS = 20_000;
    /** Calls in one measurement: many and short, because the first ones run before C2 is done and are very slow. */
    private static final int ROUNDS = 50;

    private final Workers workers;
    private final float[] results;

    /** A measure for so many threads. */
    public FmaCeiling(int threads) {
        workers = new Workers(threads);
        results = new float[threads];
    }

    /** One measurement of a few milliseconds, in floating-point operations per nanosecond (GFLOP/s). */
    public double measure() {
        long start = System.nanoTime();
        workers.run(results.length, (task, _) -> {
            for (int round = 0; round < ROUNDS; round++) {
                results[task] = chains(STEPS);
            }
        });
        long nanos = System.nanoTime() - start;
        for (float result : results) {
            if (!(Math.abs(result) < 1e6)) { // read, so that no compiler leaves the work out
                throw new IllegalStateException("fma chains went astray: " + result);
            }
        }
        return 2.0 * WIDTH * CHAINS * STEPS * ROUNDS * results.length / nanos;
    }

    /** Independent chains, enough to hide the latency of two units. */
    private static float chains(int steps) {
        FloatVector x = FloatVector.broadcast(FLOAT, 0.99f);
        FloatVector y = FloatVector.broadcast(FLOAT, 0.01f);
        FloatVector a = y;
        FloatVector b = y;
        FloatVector c = y;
        FloatVector d = y;
        FloatVector e = y;
        FloatVector f = y;
        FloatVector g = y;
        FloatVector h = y;
        FloatVector i = y;
        FloatVector j = y;
        FloatVector k = y;
        FloatVector l = y;
        for (int step = 0; step < steps; step++) {
            a = x.fma(y, a);
            b = x.fma(y, b);
            c = x.fma(y, c);
            d = x.fma(y, d);
            e = x.fma(y, e);
            f = x.fma(y, f);
            g = x.fma(y, g);
            h = x.fma(y, h);
            i = x.fma(y, i);
            j = x.fma(y, j);
            k = x.fma(y, k);
            l = x.fma(y, l);
        }
        return a.add(b)
                .add(c)
                .add(d)
                .add(e)
                .add(f)
                .add(g)
                .add(h)
                .add(i)
                .add(j)
                .add(k)
                .add(l)
                .lane(0);
    }

    @Override
    public void close() {
        workers.close();
    }
}
