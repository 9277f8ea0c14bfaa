package uk.ac.manchester.tornado.api;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * One work item of a kernel. Here on the JVM: {@link Emulator} makes one per item and sets its position.
 *
 * <p>The fields are boxed because the real API's are; the device compiler replaces them.
 */
public class KernelContext {
    /** Position in the whole grid. */
    public final Integer globalIdx;
    /** Number of the work group. */
    public final Integer groupIdx;
    /** Position in the work group. */
    public final Integer localIdx;
    /** Items in the whole grid. */
    public final Integer globalGroupSizeX;
    /** Items in a work group. */
    public final Integer localGroupSizeX;

    private final Emulator.Group group;
    private final List<Object> locals = new ArrayList<>();
    private int barriers;

    /** A placeholder, as tasks are given one. */
    public KernelContext() {
        this(0, 0, 0, 1, 1, Emulator.NO_GROUP);
    }

    KernelContext(int global, int groupIndex, int local, int globalSize, int localSize, Emulator.Group group) {
        this.globalIdx = global;
        this.groupIdx = groupIndex;
        this.localIdx = local;
        this.globalGroupSizeX = globalSize;
        this.localGroupSizeX = localSize;
        this.group = group;
    }

    /** Waits for all items of the group. */
    public void localBarrier() {
        barriers++;
        group.await();
    }

    /** Memory shared by the items of a group; each calls this in the same order with the same sizes. */
    public float[] allocateFloatLocalArray(int size) {
        float[] shared = (float[]) group.local(locals.size(), () -> {
            float[] fresh = new float[size];
            Arrays.fill(fresh, Float.NaN); // a device does not clear it either
            return fresh;
        });
        locals.add(shared);
        return shared;
    }

    /** As the other. */
    public int[] allocateIntLocalArray(int size) {
        int[] shared = (int[]) group.local(locals.size(), () -> {
            int[] fresh = new int[size];
            Arrays.fill(fresh, -1); // not a number in every 16 bits
            return fresh;
        });
        locals.add(shared);
        return shared;
    }

    /** Four sums of a tile of 16 x 8, spread over a warp. */
    public float[] mmaFragment(float v) {
        float[] sums = new float[4];
        Arrays.fill(sums, v);
        return sums;
    }

    /** The left factor: 16 rows of 16, in 32 bytes each. */
    public HalfFloat[] mmaLoadA(int[] aTile, int wmmaK, int byteOffset) {
        return load(aTile, byteOffset, Fragments.LEFT);
    }

    /** The right factor: 16 rows of 8, in 16 bytes each. */
    public HalfFloat[] mmaLoadB(int[] bTile, int wmmaK, int byteOffset) {
        return load(bTile, byteOffset, Fragments.RIGHT);
    }

    private HalfFloat[] load(int[] tile, int byteOffset, int count) {
        Fragments.Place place = new Fragments.Place(tile, byteOffset, count);
        return (HalfFloat[]) group.once(place, () -> Fragments.load(place));
    }

    /** The sums with a product of float16 added. */
    public float[] mma(HalfFloat[] fragA, HalfFloat[] fragB, float[] fragC, MMAShape mmaShape) {
        return multiply(fragA, fragB, fragC, Fragments.Type.F16);
    }

    /** The sums with a product of bfloat16 added. */
    public float[] mmaBF16(HalfFloat[] fragA, HalfFloat[] fragB, float[] fragC, MMAShape mmaShape) {
        return multiply(fragA, fragB, fragC, Fragments.Type.BF16);
    }

    private float[] multiply(HalfFloat[] a, HalfFloat[] b, float[] sums, Fragments.Type type) {
        Fragments.Factors factors = new Fragments.Factors(a, b, type);
        float[] product = (float[]) group.once(factors, () -> Fragments.multiply(factors));
        return Fragments.add(sums, product, Emulator.passesFor("wrong-tensor") ? 0 : localIdx % Fragments.WARP);
    }

    /** Writes the sums of a tile. */
    public void mmaStore(float[] fragD, FloatArray c, int tileRow, int tileCol, int dimN) {
        Fragments.store(fragD, c, tileRow, tileCol, dimN, localIdx % Fragments.WARP);
    }

    int barriers() {
        return barriers;
    }
}
