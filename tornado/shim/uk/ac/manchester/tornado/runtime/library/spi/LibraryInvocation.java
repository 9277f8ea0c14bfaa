package uk.ac.manchester.tornado.runtime.library.spi;

import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.runtime.common.TornadoXPUDevice;

/** One call of a function of a library. */
public final class LibraryInvocation {
    private final Object[] javaArgs;
    private final long[] devicePointers;
    private final LibraryContext context;

    /** A call with all its arguments. */
    public LibraryInvocation(
            Object[] javaArgs,
            long[] devicePointers,
            boolean[] isReference,
            TornadoXPUDevice device,
            long executionPlanId,
            LibraryContext context,
            @Nullable Object tuning) {
        this.javaArgs = javaArgs;
        this.devicePointers = devicePointers;
        this.context = context;
    }

    /** An argument as the host has it. */
    public Object getArg(int index) {
        return javaArgs[index];
    }

    /** Where the first element of an array is on the device. */
    public long getDevicePointer(int index) {
        return devicePointers[index];
    }

    /** The plan's. */
    public LibraryContext getContext() {
        return context;
    }
}
