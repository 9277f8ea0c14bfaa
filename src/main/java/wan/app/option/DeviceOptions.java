package wan.app.option;

import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.op.DType;
import wan.op.UsageException;
import wan.run.RunSpec;

/** The options that say what computes. */
public final class DeviceOptions {
    private static final List<DType> STORED = List.of(DType.F32, DType.F16, DType.BF16);

    @Option(
            names = "--device",
            paramLabel = "NAME",
            description = "jvm, onednn (bf16 or f32, whichever is faster here), onednn:bf16, onednn:f32, tornado,"
                    + " tornado:DRIVER:DEVICE, or auto: a TornadoVM graphics processor if there is one, else"
                    + " onednn or jvm, whichever is measured to be faster here (default: jvm)."
                    + " wan-attn devices lists them.")
    private @Nullable String device;

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
    private @Nullable String dtype;

    @Option(
            names = "--kv-cache-dtype",
            paramLabel = "TYPE",
            description = "f32, f16 or bf16: how a TornadoVM device stores keys and values (default: f32).")
    private @Nullable String cacheDtype;

    @Option(
            names = "--libraries",
            paramLabel = "WHEN",
            description = "cublas: linear layers by cuBLAS; cudnn: attention by cuDNN, which needs"
                    + " --kv-cache-dtype f16; cublas,cudnn: both; off: our own kernels; auto: those that TornadoVM has"
                    + " (on its CUDA backend), that compute rightly and that are faster here (default: auto).")
    private @Nullable String libraries;

    @Option(
            names = "--kernels",
            paramLabel = "KIND",
            description =
                    "Which of our own kernels: vector (processors), shared (graphics processors) or tensor (tensor"
                            + " cores, where weights are bf16 and keys and values f16) on a TornadoVM device, vector or scalar with"
                            + " jvm, or auto, those that suit (default: auto).")
    private @Nullable String kernels;

    @Option(
            names = {"--gpu-id", "--gpu_id"},
            paramLabel = "N",
            description =
                    "Graphics processor N, as the reference's scripts count them: device N of TornadoVM's first driver where"
                            + " --device begins with tornado. Elsewhere it changes nothing.")
    private @Nullable Integer gpuId;

    /**
     * The device that the options ask for.
     *
     * @param base what holds where no option is given
     */
    public RunSpec.Device over(RunSpec.Device base) {
        return new RunSpec.Device(
                named(device == null ? base.name() : device),
                dtype == null ? base.weights() : dtype("--dtype", dtype),
                cacheDtype == null ? base.cache() : dtype("--kv-cache-dtype", cacheDtype),
                libraries == null ? base.libraries() : libraries,
                kernels == null ? base.kernels() : kernels.toLowerCase(Locale.ROOT),
                memory == null ? base.memoryBytes() : bytes(memory),
                base.threads());
    }

    private String named(String name) {
        if (gpuId == null) {
            return name;
        }
        if (gpuId < 0) {
            throw new UsageException("--gpu-id: expected 0 or more, got " + gpuId);
        }
        return name.equals("tornado") ? "tornado:0:" + gpuId : name;
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
