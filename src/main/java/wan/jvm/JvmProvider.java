package wan.jvm;

import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import wan.backend.BackendProvider;
import wan.backend.Bytes;
import wan.backend.DeviceSettings;
import wan.backend.HostMemory;
import wan.backend.Storage;
import wan.op.DType;
import wan.op.Ops;
import wan.op.UsageException;

/** The processor, by Java alone: device {@code jvm}. */
public final class JvmProvider implements BackendProvider {
    private static final String NAME = "jvm";

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public List<String> forms() {
        return List.of(NAME);
    }

    @Override
    public List<Device> devices() {
        Runtime runtime = Runtime.getRuntime();
        return List.of(new Device(
                NAME,
                "Java " + Runtime.version().feature() + ", " + runtime.availableProcessors() + " threads, "
                        + Bytes.text(runtime.maxMemory()) + " of heap"));
    }

    @Override
    public List<String> problem() {
        return List.of();
    }

    @Override
    public List<String> preferred() {
        return List.of(NAME);
    }

    @Override
    public boolean isOnHost() {
        return true;
    }

    @Override
    public boolean isTrusted() {
        return true;
    }

    @Override
    public boolean servesAnyRun() {
        return true;
    }

    @Override
    public Ops open(DeviceSettings settings, @Nullable Consumer<Ops> rehearsal) {
        requireOwnWeights(settings, "it keeps a checkpoint's bf16 as it is, and the command convert makes one");
        return new JvmOps(options(settings));
    }

    @Override
    public HostMemory hostMemory(DeviceSettings settings, Consumer<Ops> rehearsal) {
        return JvmOps.memory(options(settings), rehearsal);
    }

    private static JvmOptions options(DeviceSettings settings) {
        return new JvmOptions(
                settings.threads(), kind(settings.kernels()), settings.storage().cache());
    }

    private static JvmOptions.Kind kind(String kernels) {
        List<JvmOptions.Kind> own = List.of(JvmOptions.Kind.AUTO, JvmOptions.Kind.VECTOR, JvmOptions.Kind.SCALAR);
        return own.stream()
                .filter(kind -> kind.option().equals(kernels))
                .findFirst()
                .orElseThrow(
                        () -> new UsageException("device.kernels: expected auto, vector or scalar, got " + kernels));
    }

    /** There is nothing to choose on the processor: it packs weights as they are stored, or as oneDNN multiplies them. */
    static void requireOwnWeights(DeviceSettings settings, String hint) {
        String device = settings.name();
        if (settings.namesLibraries()) {
            throw new UsageException("device.libraries: expected auto or off with device.name " + device + ", got "
                    + settings.libraries());
        }
        Storage storage = settings.storage();
        if (storage.weights() != DType.F32) {
            throw new UsageException("device.weights: expected f32 with device.name " + device + ", got "
                    + storage.weights().option() + "; " + hint);
        }
    }
}
