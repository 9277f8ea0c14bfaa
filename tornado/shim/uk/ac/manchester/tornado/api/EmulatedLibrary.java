package uk.ac.manchester.tornado.api;

import java.util.HashMap;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.function.Consumer;
import uk.ac.manchester.tornado.api.common.LibraryTaskDescriptor;
import uk.ac.manchester.tornado.api.exceptions.TornadoBailoutRuntimeException;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.runtime.library.spi.LibraryContext;
import uk.ac.manchester.tornado.runtime.library.spi.LibraryInvocation;
import uk.ac.manchester.tornado.runtime.library.spi.TornadoLibraryProvider;

/** The libraries of one plan: what providers call, and cuDNN's attention, as plain loops. Only in the shim. */
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
        if (function.equals("nvidia/cudnn sdpaForward")) {
            if (Emulator.passesFor("no-cudnn")) {
                // TornadoVM's own words where the library's native part is missing.
                throw new TornadoBailoutRuntimeException("[TornadoVM] Error - Recover option disabled");
            }
            return EmulatedLibrary::sdpa;
        }
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

    /**
     * o = softmax(q k^T scale) v in float16, with float32 between. Arguments: q, k, v, o, b, h, sQ, sKv, d, scale, causal; q and o are [b,
     * h, sQ, d], k and v [b, h, sKv, d].
     */
    private static void sdpa(Object[] a) {
        int planes = (int) a[4] * (int) a[5];
        int queries = (int) a[6];
        int keys = (int) a[7];
        int d = (int) a[8];
        float scale = (float) a[9];
        if (d % 8 != 0 || d > 256 || (boolean) a[10]) {
            throw new TornadoRuntimeException("cuDNN SDPA plan creation failed");
        }
        float[] q = floats(a[0]);
        float[] k = floats(a[1]);
        float[] v = floats(a[2]);
        ShortArray o = (ShortArray) a[3];
        float[] weights = new float[keys];
        for (int row = 0; row < planes * queries; row++) {
            int first = row / queries * keys;
            float max = Float.NEGATIVE_INFINITY;
            for (int key = 0; key < keys; key++) {
                float dot = 0;
                for (int c = 0; c < d; c++) {
                    dot += q[row * d + c] * k[(first + key) * d + c];
                }
                weights[key] = dot * scale;
                max = Math.max(max, weights[key]);
            }
            float total = 0;
            for (int key = 0; key < keys; key++) {
                weights[key] = (float) Math.exp(weights[key] - max);
                total += weights[key];
            }
            for (int c = 0; c < d; c++) {
                float sum = 0;
                for (int key = 0; key < keys; key++) {
                    sum += weights[key] * v[(first + key) * d + c];
                }
                o.set(row * d + c, Float.floatToFloat16(sum / total));
            }
        }
        if (Emulator.passesFor("wrong-cudnn")) {
            o.set(0, Float.floatToFloat16(Float.float16ToFloat(o.get(0)) + 1));
        }
    }

    private static float[] floats(Object array) {
        ShortArray shorts = (ShortArray) array;
        float[] values = new float[shorts.getSize()];
        for (int i = 0; i < values.length; i++) {
            values[i] = Float.float16ToFloat(shorts.get(i));
        }
        return values;
    }
}
