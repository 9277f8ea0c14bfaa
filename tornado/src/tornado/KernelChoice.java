package tornado;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Function;
import tornado.TornadoDevices.Settings;
import wan.backend.DeviceCheck;
import wan.op.DType;
import wan.op.WanException;

/** Whether our kernels for tensor cores are used: where they compute rightly and faster than the others. */
record KernelChoice(DeviceCheck check) {
    private static final System.Logger LOG = System.getLogger("wan.run");

    /**
     * Checks and measures.
     *
     * @param open opens the device
     * @param settings that leave the kernels open, for a device that has tensor cores
     * @return with the kernels that are used
     */
    Settings choose(Function<Settings, TornadoOps> open, Settings settings) {
        Settings tensor = new Settings(
                DeviceTarget.Kernels.TENSOR.name().toLowerCase(Locale.ROOT),
                settings.storage(),
                settings.libraries(),
                settings.memoryBytes());
        try {
            String problem;
            try (TornadoOps ops = open.apply(without(tensor))) {
                problem = check.problem(ops, tensor.storage(), "");
            }
            if (problem.isEmpty()) {
                double theirs = seconds(open, without(tensor));
                double others = seconds(open, without(settings));
                problem =
                        theirs < others ? "" : String.format(Locale.ROOT, "%.2g s, the others %.2g s", theirs, others);
            }
            if (problem.isEmpty()) {
                return tensor;
            }
            LOG.log(System.Logger.Level.WARNING, "kernels for tensor cores are left out: {0}", problem);
        } catch (WanException e) { // too little memory, for one
            LOG.log(System.Logger.Level.WARNING, "kernels for tensor cores are left out: {0}", e.getMessage());
        }
        return settings;
    }

    private static Settings without(Settings settings) {
        return settings.with(Set.of());
    }

    private double seconds(Function<Settings, TornadoOps> open, Settings settings) {
        List<String> ops = new ArrayList<>();
        if (settings.storage().weights() == DType.BF16 || settings.storage().weights() == DType.F8_E4M3) {
            ops.add(Library.CUBLAS.op());
        }
        if (settings.storage().cache() == DType.F16) {
            ops.add(Library.CUDNN.op());
        }
        double sum = 0;
        for (String op : ops) {
            try (TornadoOps device = open.apply(settings)) {
                sum += check.time(device, op).seconds();
            }
        }
        return sum;
    }
}
