package wan.jvm;

import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import wan.backend.BackendProvider;
import wan.backend.DeviceCheck;
import wan.backend.DeviceSettings;
import wan.backend.HostMemory;
import wan.backend.HostSpeed;
import wan.jvm.onednn.OneDnnStatus;
import wan.op.DType;
import wan.op.Ops;
import wan.op.UsageException;

/** The processor, with the matrix products of oneDNN: devices {@code onednn}, {@code onednn:bf16}, {@code onednn:f32}, {@code onednn:int8}. */
public final class OneDnnProvider implements BackendProvider {
    private static final System.Logger LOG = System.getLogger("wan.run");
    private static final String NAME = "onednn";
    private static final List<JvmOptions.Kind> KINDS =
            List.of(JvmOptions.Kind.ONEDNN_BF16, JvmOptions.Kind.ONEDNN_F32, JvmOptions.Kind.ONEDNN_INT8);

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public List<String> forms() {
        return Stream.concat(Stream.of(NAME), KINDS.stream().map(JvmOptions.Kind::option))
                .toList();
    }

    @Override
    public List<Device> devices() {
        OneDnnStatus status = OneDnnStatus.find();
        return status.isThere()
                ? List.of(new Device(
                        NAME,
                        String.format(
                                Locale.ROOT,
                                "oneDNN %s on %s, %s",
                                status.version(),
                                status.isa(),
                                status.bfloat16()
                                        ? "in bf16"
                                        : "in f32: this processor has no bf16, which onednn:bf16 emulates")))
                : List.of();
    }

    @Override
    public List<String> problem() {
        OneDnnStatus status = OneDnnStatus.find();
        return status.isThere() ? List.of() : List.of(status.problem());
    }

    /** In bfloat16 only where the processor has it: elsewhere it is emulated. Never in int8, whose error has to be accepted by name. */
    @Override
    public List<String> preferred() {
        OneDnnStatus status = OneDnnStatus.find();
        if (!status.isThere()) {
            return List.of();
        }
        return status.bfloat16()
                ? List.of(JvmOptions.Kind.ONEDNN_BF16.option(), JvmOptions.Kind.ONEDNN_F32.option())
                : List.of(JvmOptions.Kind.ONEDNN_F32.option());
    }

    @Override
    public boolean isOnHost() {
        return true;
    }

    /** Plain {@code onednn} is the type that is faster here; int8 is announced. */
    @Override
    public DeviceSettings tuned(DeviceSettings settings, DeviceCheck check) {
        if (settings.name().equals(JvmOptions.Kind.ONEDNN_INT8.option())) {
            LOG.log(
                    System.Logger.Level.INFO,
                    "{0} rounds what most linear layers multiply to 8 bits: some two to three times as far off as onednn:bf16",
                    settings.name());
        }
        List<String> types = preferred();
        return settings.name().equals(NAME) && !types.isEmpty()
                ? settings.withName(
                        HostSpeed.sorted(types, settings.threads(), type -> open(settings.withName(type), null), check)
                                .getFirst())
                : settings;
    }

    @Override
    public boolean isTrusted() {
        return false;
    }

    @Override
    public boolean servesAnyRun() {
        return true;
    }

    @Override
    public Ops open(DeviceSettings settings, @Nullable Consumer<Ops> rehearsal) {
        JvmProvider.requireOwnWeights(
                settings, "onednn:bf16, onednn:f32 and onednn:int8 say what is multiplied and kept");
        if (settings.storage().cache() != DType.F32) {
            throw new UsageException("device.cache: expected f32 with device.name " + settings.name() + ", got "
                    + settings.storage().cache().option() + "; it keeps no other type, device.name jvm does");
        }
        return new JvmOps(options(settings));
    }

    @Override
    public HostMemory hostMemory(DeviceSettings settings, Consumer<Ops> rehearsal) {
        return JvmOps.memory(options(settings), rehearsal);
    }

    private static JvmOptions options(DeviceSettings settings) {
        return new JvmOptions(settings.threads(), kind(settings.name()));
    }

    /** Plain {@code onednn}, where nothing has been measured, is float32. */
    private static JvmOptions.Kind kind(String device) {
        OneDnnStatus status = OneDnnStatus.find();
        if (!status.isThere()) {
            throw new UsageException("device.name " + device + ": " + status.problem());
        }
        if (device.equals(NAME)) {
            return JvmOptions.Kind.ONEDNN_F32;
        }
        for (JvmOptions.Kind kind : KINDS) {
            if (device.equals(kind.option())) {
                return kind;
            }
        }
        throw new UsageException(
                "device.name: expected onednn, onednn:bf16, onednn:f32 or onednn:int8, got '" + device + "'");
    }
}
