package tornado;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import uk.ac.manchester.tornado.api.common.Access;
import uk.ac.manchester.tornado.api.common.LibraryTaskDescriptor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.runtime.common.TornadoXPUDevice;
import uk.ac.manchester.tornado.runtime.library.spi.LibraryContext;
import uk.ac.manchester.tornado.runtime.library.spi.LibraryInvocation;
import uk.ac.manchester.tornado.runtime.library.spi.TornadoLibraryProvider;
import uk.ac.manchester.tornado.runtime.library.spi.TornadoNativeStreamSupport;
import wan.op.DType;

/**
 * Attention by cuDNN, called by TornadoVM between our kernels, on the same stream, as {@link CublasProvider} calls cuBLAS: a call reads its
 * slot on the host, keys and values stay where they are in their pool.
 *
 * <p>Slot: queries, batch, heads, headDim, q in the array of halves, o, its type as {@code cudnnDataType_t} numbers it (float32 goes to the
 * activations, others to the halves), the first row of keys in the pool, keys, rows from one sample to the next, rows of a block or 0, where
 * {@link CudnnAttention.Places#table} is, where values are in the array of halves that say which group a key is in, or -1, channels of v and o.
 */
public final class CudnnProvider implements TornadoLibraryProvider {
    private static final String NAME = "wan-attn/cudnn";

    /** What a task works on, in the order of its parameters. */
    record Task(IntArray step, Integer slot, Kernel.Arrays arrays) {
        /** As TornadoVM takes it. */
        static LibraryTaskDescriptor descriptor(Task task) {
            Kernel.Arrays a = task.arrays;
            Object[] parameters = {
                task.step, task.slot, a.act(), a.shorts(), a.secondShorts(), a.workspace(), a.halves()
            };
            // Each call depends on the one before by the activations, so TornadoVM keeps them on one stream.
            Access[] access = new Access[parameters.length];
            Arrays.fill(access, Access.READ_ONLY);
            access[ACT] = Access.READ_WRITE;
            access[WORKSPACE] = Access.READ_WRITE;
            access[HALVES] = Access.READ_WRITE;
            return new LibraryTaskDescriptor()
                    .withLibrary(NAME)
                    .withFunction("attention")
                    .withParameters(parameters)
                    .withAccess(access);
        }
    }

    private static final int STEP = 0;
    private static final int SLOT = 1;
    private static final int ACT = 2;
    private static final int KEYS = 3;
    private static final int VALUES = 4;
    private static final int WORKSPACE = 5;
    private static final int HALVES = 6;

    /** Of one plan. */
    private static final class Context implements LibraryContext {
        private final Cudnn library;
        private final MemorySegment handle;
        private final Map<CudnnAttention.Shape, CudnnAttention> attentions = new HashMap<>();

        private Context(Cudnn library, long stream) {
            this.library = library;
            this.handle = library.handle(stream);
        }

        private void run(LibraryInvocation call) {
            IntArray step = (IntArray) call.getArg(STEP);
            int slot = (int) call.getArg(SLOT);
            int heads = step.get(slot + 2);
            int headDim = step.get(slot + 3);
            DType result = CudnnAttention.dtype(step.get(slot + 6));
            int groups = step.get(slot + 12);
            CudnnAttention.Shape shape = new CudnnAttention.Shape(
                    step.get(slot + 1),
                    heads,
                    headDim,
                    step.get(slot),
                    step.get(slot + 8),
                    step.get(slot + 9),
                    step.get(slot + 10),
                    step.get(slot + 13),
                    result,
                    groups >= 0);
            long halves = call.getDevicePointer(HALVES);
            long first = 2L * step.get(slot + 7) * heads * headDim;
            long out = result.bytes(step.get(slot + 5));
            CudnnAttention.Places places = new CudnnAttention.Places(
                    halves + 2L * step.get(slot + 4),
                    call.getDevicePointer(KEYS) + first,
                    groups >= 0 ? halves + 2L * groups : call.getDevicePointer(VALUES) + first,
                    (result == DType.F32 ? call.getDevicePointer(ACT) : halves) + out,
                    call.getDevicePointer(STEP) + 4L * step.get(slot + 11),
                    call.getDevicePointer(WORKSPACE),
                    4L * ((FloatArray) call.getArg(WORKSPACE)).getSize());
            CudnnAttention.Device device = new CudnnAttention.Device(handle, null);
            attentions
                    .computeIfAbsent(shape, fresh -> new CudnnAttention(library, device, fresh))
                    .run(places);
        }

        private void close() {
            attentions.values().forEach(CudnnAttention::close);
            library.check("a device", "cudnnDestroy", handle);
        }
    }

    @Override
    public String libraryName() {
        return NAME;
    }

    @Override
    public boolean canHandle(TornadoXPUDevice device) {
        return device instanceof TornadoNativeStreamSupport;
    }

    @Override
    public LibraryContext createContext(TornadoXPUDevice device, long executionPlanId) {
        // The emulator brings the functions along.
        Cudnn library = device instanceof SymbolLookup own ? new Cudnn(own) : Cudnn.get();
        return new Context(library, ((TornadoNativeStreamSupport) device).getNativeStream(executionPlanId));
    }

    @Override
    public void dispatch(String functionName, LibraryInvocation invocation) {
        ((Context) invocation.getContext()).run(invocation);
    }

    @Override
    public void destroyContext(LibraryContext context) {
        ((Context) context).close();
    }
}
