package tornado;

import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;
import java.util.function.Function;
import tornado.TornadoDevices.Settings;
import wan.backend.DeviceCheck;
import wan.backend.DeviceCheck.Timing;
import wan.op.WanException;

/**
 * Which of the libraries that TornadoVM has for a device a run uses: those that compute rightly and, unless they were named, faster than
 * our kernels.
 *
 * @param asked whether they were named: then one that is missing or wrong is an error, and the slower one is used too
 */
record LibraryChoice(boolean asked, DeviceCheck check) {
    private static final System.Logger LOG = System.getLogger("wan.run");

    /**
     * Checks and measures.
     *
     * @param open opens the device
     * @param settings with the libraries that may be used
     * @return those that are used
     * @throws WanException if one was asked for and cannot be used
     */
    Set<Library> choose(Function<Settings, TornadoOps> open, Settings settings) {
        Set<Library> chosen = EnumSet.noneOf(Library.class);
        for (Library library : settings.libraries()) {
            Settings only = settings.with(Set.of(library));
            String problem;
            try (TornadoOps ops = open.apply(only)) {
                if (asked) {
                    require(only.libraries(), ops);
                }
                if (ops.libraries().contains(library)) {
                    problem = problem(ops, only, library);
                } else {
                    problem = ops.problem(library);
                    if (problem.isEmpty()) {
                        continue; // nothing that this device or its types could have
                    }
                }
            }
            if (problem.isEmpty() && !asked) {
                problem = slowness(open, only, library);
            }
            if (problem.isEmpty()) {
                chosen.add(library);
            } else if (asked) {
                throw new WanException("device.libraries " + library.option() + ": " + problem);
            } else {
                LOG.log(System.Logger.Level.WARNING, "{0} is left out: {1}", library.title(), problem);
            }
        }
        return chosen;
    }

    /**
     * Refuses a device that lacks libraries.
     *
     * @throws WanException with what it takes
     */
    static void require(Set<Library> libraries, TornadoOps ops) {
        for (Library library : libraries) {
            if (!ops.problem(library).isEmpty()) {
                throw new WanException("device.libraries " + library.option() + ": " + ops.problem(library));
            }
            if (!ops.libraries().contains(library)) {
                throw WanException.mismatch(
                        "device.libraries " + library.option(),
                        "a TornadoVM device with " + library.title() + " (its CUDA backend)",
                        ops.backend(),
                        "auto takes those that are present");
            }
        }
    }

    /** Why a library cannot be used, or empty. */
    private String problem(TornadoOps ops, Settings only, Library library) {
        try {
            return check.problem(ops, only.storage(), library.op());
        } catch (WanException | LinkageError e) {
            return String.valueOf(e.getMessage());
        }
    }

    /** That our kernels are faster, or that nothing could be measured; or empty. */
    private String slowness(Function<Settings, TornadoOps> open, Settings only, Library library) {
        Timing theirs;
        Timing ours;
        try {
            theirs = time(open, only, library);
            ours = time(open, only.with(Set.of()), library);
        } catch (WanException e) { // too little memory, for one
            return "its speed is not known: " + e.getMessage();
        }
        String figures = String.format(
                Locale.ROOT,
                "%s takes %.2f ms, our kernels %.2f ms",
                theirs.what(),
                theirs.seconds() * 1e3,
                ours.seconds() * 1e3);
        LOG.log(System.Logger.Level.INFO, "{0}: {1}", library.title(), figures);
        return theirs.seconds() < ours.seconds() ? "" : figures;
    }

    private Timing time(Function<Settings, TornadoOps> open, Settings settings, Library library) {
        try (TornadoOps ops = open.apply(settings)) {
            return check.time(ops, library.op());
        }
    }
}
