package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import wan.op.DType;

/**
 * What NVIDIA's cuDNN says to our attentions: it compiles them for a device that is only described to it. Runs where {@code
 * -Dwan.cudnn.library=FILE} names the library (of the wheel nvidia-cudnn-cu13, beside nvidia-cuda-nvrtc), and there is c++.
 */
@SuppressWarnings("restricted") // calls C
class CudnnAcceptanceTest {
    private static final int PROPERTIES = 38;
    private static final int PROPERTIES_JSON = 2702;
    private static final int CHAR = 24;

    @TempDir
    private static Path folder;

    /** Never closed: cuDNN keeps the driver open. */
    private static final Arena ARENA = Arena.ofShared();

    @BeforeAll
    static void driverWithoutDevice() throws IOException, InterruptedException {
        boolean named = !System.getProperty(Cudnn.PROPERTY, "").isEmpty();
        if (!named) {
            System.err.println("SKIPPED: -D" + Cudnn.PROPERTY + " names no cuDNN; NVIDIA's was not asked");
        }
        assumeTrue(named, "needs -D" + Cudnn.PROPERTY);
        FakeDriver.compile(folder, "nodevice.cpp", "libcuda.so.1");
        SymbolLookup _ = SymbolLookup.libraryLookup(folder.resolve("libcuda.so.1"), ARENA);
    }

    /** Describes a device of a compute capability, 900 for 9.0. */
    private static MemorySegment device(int capability) {
        Cudnn library = Cudnn.get();
        MemorySegment properties = library.descriptor("a device", PROPERTIES);
        byte[] json =
                """
            {"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,"multiProcessorCount":132,\
            "smCountOrigin":0,"warpSize":32,"maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":%d,\
            "reservedSharedMemoryPerBlock":1024,"maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,\
            "maxThreadsPerSM":2048,"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,"totalGlobalMem":85899345920,\
            "smClockRateKHz":1980000,"memClockRateKHz":2619000,"l2CacheSize":52428800,"cudaDeviceId":0,"deviceVer":%d,\
            "driverVer":13000,"deviceName":"a device for tests"}""".formatted(capability < 900 ? 166_912 : 232_448, capability).getBytes(StandardCharsets.UTF_8);
        MemorySegment text = ARENA.allocate(json.length).copyFrom(MemorySegment.ofArray(json));
        library.check(
                "a device", "cudnnBackendSetAttribute", properties, PROPERTIES_JSON, CHAR, (long) json.length, text);
        library.check("a device", "cudnnBackendFinalize", properties);
        return properties;
    }

    private static CudnnAttention attention(MemorySegment properties, CudnnAttention.Shape shape) {
        return new CudnnAttention(Cudnn.get(), new CudnnAttention.Device(null, properties), shape);
    }

    /** Of 1.3B at 480 x 832, masses of frames among them; then of 14B, and small ones, with every kind of head. */
    private static List<CudnnAttention.Shape> shapes() {
        List<CudnnAttention.Shape> all = new ArrayList<>();
        int frame = 1560;
        int pool = 21 * frame;
        for (DType result : List.of(DType.F32, DType.F16, DType.BF16)) {
            all.add(shape(12, 128, 3 * frame, 7 * frame, pool, 0, 128, result, false));
            all.add(shape(12, 128, 3 * frame, 7 * frame, pool, 8, 128, result, false));
        }
        all.add(shape(12, 128, frame, frame, pool, 0, 128, DType.BF16, false));
        all.add(shape(12, 128, 3 * frame, pool, pool, 0, 128, DType.BF16, false));
        all.add(shape(12, 128, 3 * frame, 512, 512, 0, 128, DType.BF16, false));
        all.add(shape(12, 128, 3 * frame, 7 * frame, pool, 0, 8, DType.F32, true));
        all.add(shape(12, 128, 3 * frame, 7 * frame, pool, 8, 24, DType.F32, true));
        return all;
    }

    private static List<CudnnAttention.Shape> more() {
        List<CudnnAttention.Shape> all = new ArrayList<>();
        all.add(shape(40, 128, 3 * 1560, 7 * 1560, 21 * 1560, 0, 128, DType.BF16, false));
        for (int headDim : List.of(8, 24, 256)) {
            all.add(shape(2, headDim, 6, 36, 84, 0, headDim, DType.F32, false));
            all.add(shape(2, headDim, 5, 15, 35, 1, headDim, DType.BF16, false));
            all.add(shape(2, headDim, 6, 36, 84, 4, 8, DType.F32, true));
        }
        return all;
    }

    private static CudnnAttention.Shape shape(
            int heads,
            int headDim,
            int queries,
            int keys,
            int rows,
            int block,
            int columns,
            DType result,
            boolean masses) {
        int batch = headDim == 24 ? 2 : 1;
        return new CudnnAttention.Shape(batch, heads, headDim, queries, keys, rows, block, columns, result, masses);
    }

    @ParameterizedTest
    @ValueSource(ints = {800, 900, 1000})
    void everyAttention_isCompiled(int capability) {
        MemorySegment device = device(capability);
        List<CudnnAttention.Shape> all = new ArrayList<>(shapes());
        if (capability == 900) {
            all.addAll(more());
        }
        for (CudnnAttention.Shape shape : all) {
            try (CudnnAttention attention = attention(device, shape)) {
                assertThat(attention.workspaceBytes()).as(shape.toString()).isBetween(0L, 256L);
            }
        }
        release(device);
    }

    @Test
    void olderDevices_areRefusedInOneLine() {
        MemorySegment device = device(750);
        assertThatThrownBy(() -> attention(device, shapes().getFirst()))
                .isInstanceOf(LibraryException.class)
                .hasMessageStartingWith(
                        "cuDNN: expected an engine for attention q [1, 4680, 12, 128], 10920 keys, to f32,"
                                + " got none");
        release(device);
    }

    @Test
    void blocks_arePowersOfTwo() {
        MemorySegment device = device(900);
        CudnnAttention.Shape shape = shape(12, 128, 1560, 4680, 4680, 1560, 128, DType.F32, false);
        assertThatThrownBy(() -> attention(device, shape))
                .isInstanceOf(LibraryException.class)
                .hasMessageContaining("power of 2");
        release(device);
    }

    private static void release(MemorySegment device) {
        Cudnn.get().check("a device", "cudnnBackendDestroyDescriptor", device);
    }
}
