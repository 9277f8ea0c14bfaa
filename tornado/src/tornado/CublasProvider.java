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
 * Linear layers by cuBLAS, called by TornadoVM between our kernels, on the same stream. A call reads its slot on the host when it is
 * executed, as a kernel reads it on the device, and adds what it says to the addresses of the arrays: nothing is copied, and no number
 * of rows is recorded.
 *
 * <p>Slot: that of {@link LinearKernels}, with rows of x and y side by side; weight / 16 is where the plain weights [out, in] are.
 * Argument 14 says of what type the factors are, as {@code cudaDataType_t} numbers them. Those of 16 or 8 bits begin at x in the array of halves. Argument 15
 * is where there y begins that goes in 16 bits instead, or -1. With 8 bits argument 9 is where the scales of the rows are among the activations;
 * those of the channels are behind the bias among the parameters.
 */
public final class CublasProvider implements TornadoLibraryProvider {
    private static final String NAME = "wan-attn/cublas";

    /** What a task works on, in the order of its parameters. */
    record Task(IntArray step, Integer slot, Kernel.Arrays arrays) {
        /** As TornadoVM takes it. */
        static LibraryTaskDescriptor descriptor(Task task) {
            Kernel.Arrays a = task.arrays;
            Object[] parameters = {
                task.step, task.slot, a.act(), a.params(), a.stores().getFirst(), a.workspace(), a.halves()
            };
            // Each call depends on the one before by the activations, so TornadoVM keeps them on one stream.
            Access[] access = new Access[parameters.length];
            Arrays.fill(access, Access.READ_ONLY);
            access[ACT] = Access.READ_WRITE;
            access[WORKSPACE] = Access.READ_WRITE;
            access[HALVES] = Access.READ_WRITE;
            return new LibraryTaskDescriptor()
                    .withLibrary(NAME)
                    .withFunction("matmul")
                    .withParameters(parameters)
                    .withAccess(access);
        }
    }

    /** cublasLt wants it. */
    private static final long WORKSPACE_ALIGNMENT = 256;

    private static final int STEP = 0;
    private static final int SLOT = 1;
    private static final int ACT = 2;
    private static final int PARAMS = 3;
    private static final int WEIGHTS = 4;
    private static final int WORKSPACE = 5;
    private static final int HALVES = 6;

    /** Of one plan. */
    private static final class Context implements LibraryContext {
        private final CublasLt library;
        private final MemorySegment handle;
        private final long stream;
        private final Map<CublasMatmul.Shape, CublasMatmul> matmuls = new HashMap<>();

        private Context(CublasLt library, long stream) {
            this.library = library;
            this.handle = library.create("a device", "cublasLtCreate");
            this.stream = stream;
        }

        private void run(LibraryInvocation call) {
            IntArray step = (IntArray) call.getArg(STEP);
            int slot = (int) call.getArg(SLOT);
            int in = step.get(slot + 1);
            int out = step.get(slot + 2);
            int mode = step.get(slot + 8);
            DType factors = CublasMatmul.dtype(step.get(slot + 14));
            int half = step.get(slot + 15);
            boolean bytes = factors == DType.F8_E4M3;
            DType result = half < 0 ? DType.F32 : bytes ? DType.BF16 : factors;
            CublasMatmul.Shape shape = new CublasMatmul.Shape(
                    factors, result, step.get(slot), in, out, mode == LinearKernels.GELU, mode == LinearKernels.ADD);
            long weights = call.getDevicePointer(WEIGHTS) + factors.bytes(16L * step.get(slot + 7));
            long act = call.getDevicePointer(ACT);
            long halves = call.getDevicePointer(HALVES);
            long params = call.getDevicePointer(PARAMS);
            long workspace = call.getDevicePointer(WORKSPACE);
            long aligned = Math.ceilDiv(workspace, WORKSPACE_ALIGNMENT) * WORKSPACE_ALIGNMENT;
            long end = workspace + 4L * ((FloatArray) call.getArg(WORKSPACE)).getSize();
            CublasMatmul.Places places = new CublasMatmul.Places(
                    factors == DType.F32 ? act + 4L * step.get(slot + 3) : halves + 2L * step.get(slot + 3),
                    bytes ? act + 4L * step.get(slot + 9) : 0,
                    weights,
                    bytes ? params + 4L * (step.get(slot + 10) + out) : 0,
                    half >= 0 || bytes
                            ? weights + factors.bytes(DeviceLinear.biasAfter(in, out))
                            : params + 4L * step.get(slot + 10),
                    half >= 0 ? halves + 2L * half : act + 4L * step.get(slot + 5),
                    aligned,
                    Math.max(0, end - aligned),
                    stream);
            matmuls.computeIfAbsent(shape, fresh -> new CublasMatmul(library, handle, fresh, places))
                    .run(places);
        }

        private void close() {
            matmuls.values().forEach(CublasMatmul::close);
            library.check("a device", "cublasLtDestroy", handle);
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
        CublasLt library = device instanceof SymbolLookup own ? new CublasLt(own) : CublasLt.get();
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
