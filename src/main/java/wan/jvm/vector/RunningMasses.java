package wan.jvm.vector;

import static wan.jvm.vector.Lanes.FLOAT;
import static wan.jvm.vector.Lanes.WIDTH;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import wan.jvm.kernel.FrameMass;

/**
 * What one worker's queries give to each key group while their softmax still runs: relative, like its sums, to the maximum so
 * far. Masses never change the softmax itself.
 */
public final class RunningMasses {
    /** Queries that are handed to {@link FrameMass} at a time; whole vectors. */
    private final int panel;

    private int keyGroups;
    /** [query / panel][key group][query % panel]. */
    private float[] masses = new float[0];
    /** As masses: the maximum that they are relative to. */
    private float[] massMaxima = new float[0];

    public RunningMasses(int panel) {
        this.panel = panel;
    }

    /** Forgets everything. */
    public void reset(int queries, int groups) {
        keyGroups = groups;
        int size = Math.ceilDiv(queries, panel) * panel * groups;
        if (masses.length < size) {
            masses = new float[size];
            massMaxima = new float[size];
        }
        Arrays.fill(masses, 0, size, 0);
        Arrays.fill(massMaxima, 0, size, Float.NEGATIVE_INFINITY);
    }

    /**
     * Adds to one vector of queries.
     *
     * @param query the first of them, among the worker's
     * @param sums of weights of keys of the group, relative to {@code maxima}
     * @param sumsAt index of the first query's sum
     * @param maxima by query
     */
    public void add(int query, int group, float[] sums, int sumsAt, float[] maxima) {
        int at = (query / panel * keyGroups + group) * panel + query % panel;
        FloatVector max = FloatVector.fromArray(FLOAT, maxima, query);
        FloatVector before = FloatVector.fromArray(FLOAT, massMaxima, at);
        FloatVector.fromArray(FLOAT, masses, at)
                .fma(VectorMath.exp2(before.sub(max)), FloatVector.fromArray(FLOAT, sums, sumsAt))
                .intoArray(masses, at);
        max.intoArray(massMaxima, at);
    }

    /**
     * The masses of one panel of queries once the softmax is done.
     *
     * @param firstQuery a multiple of the panel
     * @param maxima by query
     * @param sums by query: of all weights
     * @return [key group, panel]
     */
    public float[] normalised(int firstQuery, float[] maxima, float[] sums) {
        float[] normalised = new float[keyGroups * panel];
        for (int i = 0; i < normalised.length; i += WIDTH) {
            int at = firstQuery * keyGroups + i;
            int query = firstQuery + i % panel;
            FloatVector max = FloatVector.fromArray(FLOAT, maxima, query);
            FloatVector.fromArray(FLOAT, masses, at)
                    .mul(VectorMath.exp2(
                            FloatVector.fromArray(FLOAT, massMaxima, at).sub(max)))
                    .div(FloatVector.fromArray(FLOAT, sums, query))
                    .intoArray(normalised, i);
        }
        return normalised;
    }
}
