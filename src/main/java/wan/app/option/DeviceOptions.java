package wan.app.option;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import tornado.Library;
import tornado.MemoryPlan;
import tornado.Storage;
import tornado.TornadoDevices;
import wan.jvm.JvmOptions;
import wan.op.DType;
import wan.op.Ops;
import wan.op.UsageException;
import wan.run.Devices;
import wan.run.LibraryChoice;

/** The options that say what computes. */
public final class DeviceOptions {
    private static final List<DType> STORED = List.of(DType.F32, DType.F16, DType.BF16);

    @Option(
            names = "--device",
            paramLabel = "NAME",
            description = "jvm, onednn (bf16 where the processor has it, else f32), onednn:bf16, onednn:f32, tornado,"
                    + " tornado:DRIVER:DEVICE, or auto: a TornadoVM graphics processor if there is one, else"
                    + " onednn if it is there and the processor has bf16, else jvm (default: jvm)."
                    + " wan-attn devices lists them.")
    private String device = Devices.JVM;

    @Option(
            names = "--device-memory",
            paramLabel = "SIZE",
            description = "What may be used of the device's memory, as 12g (default: all of it).")
    private @Nullable String memory;

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            description =
                    "f32, f16 or bf16: how a TornadoVM device stores weights (default: f32); our kernels compute in f32 all"
                            + " the same, cuBLAS multiplies this type. bf16 loses nothing of a bf16 checkpoint and halves"
                            + " their memory.")
    private String dtype = "f32";

    @Option(
            names = "--kv-cache-dtype",
            paramLabel = "TYPE",
            description = "f32, f16 or bf16: how a TornadoVM device stores keys and values (default: f32).")
    private String cacheDtype = "f32";

    @Option(
            names = "--libraries",
            paramLabel = "WHEN",
            description = "cublas: linear layers by cuBLAS; cudnn: attention by cuDNN, which needs"
                    + " --kv-cache-dtype f16; cublas,cudnn: both; off: our own kernels; auto: those that TornadoVM has"
                    + " (on its CUDA backend), that compute rightly and that are faster here (default: auto).")
    private String libraries = "auto";

    /** The option as given. */
    String device() {
        return device;
    }

    /**
     * How to use a TornadoVM device.
     *
     * @param kernels {@code vector}, {@code shared}, or empty for those that suit the device
     */
    TornadoDevices.Settings settings(String kernels) {
        return new TornadoDevices.Settings(kernels, storage(), libraries(), memory == null ? 0 : bytes(memory));
    }

    private Set<Library> libraries() {
        return switch (libraries) {
            case "auto" -> EnumSet.allOf(Library.class);
            case "off" -> Set.of();
            default -> {
                Set<Library> named = EnumSet.noneOf(Library.class);
                for (String name : libraries.split(",", -1)) {
                    named.add(Arrays.stream(Library.values())
                            .filter(library -> library.option().equals(name))
                            .findFirst()
                            .orElseThrow(() -> new UsageException(
                                    "--libraries: expected auto, off, cublas, cudnn or cublas,cudnn, got '" + libraries
                                            + "'")));
                }
                if (named.contains(Library.CUDNN) && storage().cache() != DType.F16) {
                    throw new UsageException("--libraries cudnn: expected --kv-cache-dtype f16, got " + cacheDtype
                            + "; its attention takes no other type");
                }
                yield named;
            }
        };
    }

    private LibraryChoice choice() {
        return libraries.equals("auto") || libraries.equals("off") ? LibraryChoice.MEASURED : LibraryChoice.ASKED;
    }

    /** What a run needs of the device; null where none is used. */
    @Nullable
    public MemoryPlan memoryPlan(Consumer<Ops> rehearsal) {
        return Devices.memoryPlan(device, settings(""), rehearsal);
    }

    /** Opens the backend as it is, right or wrong, with all libraries that may be used. */
    public Ops openUnchecked(JvmOptions jvm, String kernels) {
        TornadoDevices.Settings settings = settings(kernels);
        Ops ops = Devices.openUnchecked(device, jvm, settings);
        choice().require(settings, ops);
        return ops;
    }

    /** Opens the backend. */
    public Ops open(JvmOptions jvm) {
        return Devices.open(device, jvm, settings(""), choice());
    }

    /** How a device stores what it computes with. */
    public Storage storage() {
        return new Storage(dtype("--dtype", dtype), dtype("--kv-cache-dtype", cacheDtype));
    }

    private static DType dtype(String option, String text) {
        return STORED.stream()
                .filter(type -> type.option().equals(text.toLowerCase(Locale.ROOT)))
                .findFirst()
                .orElseThrow(() -> new UsageException(option + ": expected f32, f16 or bf16, got '" + text + "'"));
    }

    private static long bytes(String text) {
        String digits = text.toLowerCase(Locale.ROOT).strip();
        int shift = digits.isEmpty() ? -1 : "kmgt".indexOf(digits.charAt(digits.length() - 1));
        try {
            long value = Long.parseLong(shift < 0 ? digits : digits.substring(0, digits.length() - 1));
            long bytes = Math.multiplyExact(value, 1L << (shift < 0 ? 0 : 10 * (shift + 1)));
            if (bytes > 0) {
                return bytes;
            }
        } catch (ArithmeticException | NumberFormatException e) {
            throw new UsageException("--device-memory: expected a size such as 12g, got '" + text + "'");
        }
        throw new UsageException("--device-memory: expected a size such as 12g, got '" + text + "'");
    }
}
