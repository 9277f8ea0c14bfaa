package wan.app;

import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.jvm.JvmOptions;
import wan.op.Ops;
import wan.op.UsageException;

/** The options that say what computes. */
final class DeviceOptions {
    @Option(
            names = "--device",
            paramLabel = "NAME",
            description =
                    "jvm, tornado, tornado:DRIVER:DEVICE, or auto: a TornadoVM graphics processor if there is one, else jvm"
                            + " (default: jvm). wan-attn devices lists them.")
    private String device = Devices.JVM;

    @Option(
            names = "--device-memory",
            paramLabel = "SIZE",
            description = "What may be used of the device's memory, as 12g (default: all of it).")
    private @Nullable String memory;

    /** The option as given. */
    String device() {
        return device;
    }

    /** Bytes; 0 for all. */
    long memoryBytes() {
        return memory == null ? 0 : bytes(memory);
    }

    /** Opens the backend. */
    Ops open(JvmOptions jvm) {
        return Devices.open(device, jvm, memoryBytes());
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
