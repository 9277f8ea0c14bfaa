package uk.ac.manchester.tornado.runtime.library.spi;

import uk.ac.manchester.tornado.runtime.common.TornadoXPUDevice;

/** Calls a native library; found by {@link java.util.ServiceLoader}. */
public interface TornadoLibraryProvider {
    /** As tasks name it. */
    String libraryName();

    /** Whether it works on this device. */
    boolean canHandle(TornadoXPUDevice device);

    /** What it needs for one plan. */
    LibraryContext createContext(TornadoXPUDevice device, long executionPlanId);

    /** Calls a function. */
    void dispatch(String functionName, LibraryInvocation invocation);

    /** Frees what {@link #createContext} made. */
    void destroyContext(LibraryContext context);
}
