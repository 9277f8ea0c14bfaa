package uk.ac.manchester.tornado.api;

import java.util.HashMap;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.function.Consumer;
import uk.ac.manchester.tornado.api.common.LibraryTaskDescriptor;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.runtime.library.spi.LibraryContext;
import uk.ac.manchester.tornado.runtime.library.spi.LibraryInvocation;
import uk.ac.manchester.tornado.runtime.library.spi.TornadoLibraryProvider;

/** The libraries of one plan: what providers call, as plain loops. Only in the shim. */
final class EmulatedLibrary implements AutoCloseable {
    private static final long PLAN = 1;

    private final EmulatedCublas device = new EmulatedCublas();
    private final Map<TornadoLibraryProvider, LibraryContext> contexts = new HashMap<>();

    /**
     * Calls a function, which queues its work.
     *
     * @param host its arguments as the host has them
     * @return the work, on the same arguments with the device's arrays
     */
    Consumer<Object[]> call(LibraryTaskDescriptor task, Object[] host) {
        if (!Emulator.passesFor("cuda")) {
            throw new TornadoRuntimeException("no provider for " + task.getLibraryName());
        }
        if (task.getAccess().length != host.length) {
            throw new TornadoRuntimeException(task.getAccess().length + " accesses for " + host.length + " parameters");
        }
        String function = task.getLibraryName() + " " + task.getFunctionName();
        for (TornadoLibraryProvider provider :
                ServiceLoader.load(TornadoLibraryProvider.class, EmulatedLibrary.class.getClassLoader())) {
            if (provider.libraryName().equals(task.getLibraryName()) && provider.canHandle(device)) {
                LibraryContext context = context(provider);
                boolean[] isReference = new boolean[host.length];
                long[] pointers = EmulatedCublas.addresses(host, isReference);
                provider.dispatch(
                        task.getFunctionName(),
                        new LibraryInvocation(host, pointers, isReference, device, PLAN, context, null));
                return device.takeQueued();
            }
        }
        throw new TornadoRuntimeException("no provider for " + function);
    }

    private LibraryContext context(TornadoLibraryProvider provider) {
        return contexts.entrySet().stream()
                .filter(entry -> entry.getKey().libraryName().equals(provider.libraryName()))
                .map(Map.Entry::getValue)
                .findFirst()
                .orElseGet(() -> {
                    LibraryContext fresh = provider.createContext(device, PLAN);
                    contexts.put(provider, fresh);
                    return fresh;
                });
    }

    @Override
    public void close() {
        contexts.forEach(TornadoLibraryProvider::destroyContext);
        contexts.clear();
        device.close();
    }
}
