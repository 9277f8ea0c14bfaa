package uk.ac.manchester.tornado.api;

import java.util.ArrayList;
import java.util.List;

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
    private final List<float[]> locals = new ArrayList<>();
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
        float[] shared = group.local(locals.size(), size);
        locals.add(shared);
        return shared;
    }

    int barriers() {
        return barriers;
    }
}
