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
    private static final List<DType> OF_CACHE = List.of(DType.F32, DType.F16, DType.BF16);
    private static final List<DType> OF_WEIGHTS = List.of(DType.F32, DType.F16, DType.BF16, DType.F8_E4M3);

    @Option(
            names = "--device",
            paramLabel = "NAME",
            description = "jvm, onednn (the faster of bf16 and f32), onednn:bf16, onednn:f32, onednn:int8 (faster,"
                    + " less exact), tornado, tornado:DRIVER:DEVICE, or auto: a TornadoVM GPU if there is one, else the faster of onednn"
                    + " and jvm, as measured at the start (default: jvm). wan-attn devices lists them.")
    private @Nullable String device;

    @Option(
            names = "--device-memory",
            paramLabel = "SIZE",
            description = "Limit for the memory used on the device, such as 12g (default: all of it).")
    private @Nullable String memory;

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            description =
                    "Type in which a TornadoVM device stores weights: f32, f16, bf16 or f8_e4m3 (default: f32). Our"
                            + " own kernels compute in f32, or on tensor cores in bf16; cuBLAS multiplies in this type. bf16 is"
                            + " exact for a bf16 checkpoint and halves the memory; f8_e4m3, with a scale per output channel,"
                            + " halves it again, and with --libraries cublas, which has to be named, rounds activations"
                            + " to it too.")
    private @Nullable String dtype;

    @Option(
            names = "--kv-cache-dtype",
            paramLabel = "TYPE",
            description =
                    "Type in which jvm or a TornadoVM device stores the KV cache: f32, f16 or bf16, which halve its"
                            + " memory (default: f32).")
    private @Nullable String cacheDtype;

    @Option(
            names = "--libraries",
            paramLabel = "WHEN",
            description = "Libraries on TornadoVM's CUDA backend: cublas for linear layers, cudnn for attention (needs"
                    + " --kv-cache-dtype f16), cublas,cudnn for both, off for our own kernels, or auto: those that"
                    + " are present, correct and faster on this device (default: auto).")
    private @Nullable String libraries;

    @Option(
            names = "--kernels",
            paramLabel = "KIND",
            description = "Our own kernels to use. With jvm: vector or scalar. On a TornadoVM device: vector (CPUs),"
                    + " shared (GPUs) or tensor (tensor cores; needs weights in bf16 and the KV cache in f16). auto"
                    + " takes what suits the device (default: auto).")
    private @Nullable String kernels;

    @Option(
            names = {"--gpu-id", "--gpu_id"},
            paramLabel = "N",
            description = "GPU number, as in the reference's scripts: with --device tornado, device N of TornadoVM's"
                    + " first driver. It has no effect on other devices.")
    private @Nullable Integer gpuId;

    /**
     * The device that the options ask for.
     *
     * @param base what holds where no option is given
     */
    public RunSpec.Device over(RunSpec.Device base) {
        return new RunSpec.Device(
                named(device == null ? base.name() : device),
                dtype == null ? base.weights() : dtype("--dtype", dtype, OF_WEIGHTS),
                cacheDtype == null ? base.cache() : dtype("--kv-cache-dtype", cacheDtype, OF_CACHE),
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

    private static DType dtype(String option, String text, List<DType> types) {
        return types.stream()
                .filter(type -> type.option().equals(text.toLowerCase(Locale.ROOT)))
                .findFirst()
                .orElseThrow(() -> {
                    List<String> names = types.stream().map(DType::option).toList();
                    int last = names.size() - 1;
                    return new UsageException(option + ": expected " + String.join(", ", names.subList(0, last))
                            + " or " + names.get(last) + ", got '" + text + "'");
                });
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
