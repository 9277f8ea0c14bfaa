package wan.run;

import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Function;
import tornado.Library;
import tornado.TornadoDevices.Settings;
import tornado.TornadoOps;
import wan.op.Ops;
import wan.op.WanException;
import wan.selftest.SelfTest;
import wan.selftest.SelfTestCases;

/**
 * Which of the libraries that TornadoVM has for a device a run uses.
 *
 * @param asked whether they were named: then one that is missing or wrong is an error, and the slower one is used too
 * @param sizes what is measured: of each library the case of its operation
 */
public record LibraryChoice(boolean asked, List<SelfTestCases.Case> sizes) {
    private static final System.Logger LOG = System.getLogger("wan.run");

    private static final long MEASURE_NANOS = 200_000_000;

    /** Those that compute rightly, and faster than our kernels at the sizes of one frame of the 1.3B model. */
    public static final LibraryChoice MEASURED = new LibraryChoice(false, SelfTestCases.large());

    /** All that are named. */
    public static final LibraryChoice ASKED = new LibraryChoice(true, List.of());

    /**
     * Checks and measures.
     *
     * @param open opens the device
     * @param settings with the libraries that may be used
     * @return the same with those that are used
     * @throws WanException if one was asked for and cannot be used
     */
    Settings choose(Function<Settings, Ops> open, Settings settings) {
        Set<Library> chosen = EnumSet.noneOf(Library.class);
        for (Library library : settings.libraries()) {
            Settings only = settings.with(Set.of(library));
            String problem;
            try (Ops ops = open.apply(only)) {
                require(only, ops);
                if (!has(ops, library)) {
                    continue;
                }
                problem = problem(ops, only, library);
            }
            if (problem.isEmpty() && !asked) {
                problem = slowness(open, only, library);
            }
            if (problem.isEmpty()) {
                chosen.add(library);
            } else if (asked) {
                throw new WanException("--libraries " + library.option() + ": " + problem);
            } else {
                LOG.log(System.Logger.Level.WARNING, "{0} is left out: {1}", library.title(), problem);
            }
        }
        return settings.with(chosen);
    }

    /**
     * Refuses a device that lacks what was asked for.
     *
     * @throws WanException with what it takes
     */
    public void require(Settings settings, Ops ops) {
        for (Library library : settings.libraries()) {
            if (asked && !has(ops, library)) {
                throw WanException.mismatch(
                        "--libraries " + library.option(),
                        "a TornadoVM device with " + library.title() + " (its CUDA backend)",
                        ops.backend(),
                        "auto takes what is there");
            }
        }
    }

    private static boolean has(Ops ops, Library library) {
        return ops instanceof TornadoOps tornado && tornado.libraries().contains(library);
    }

    /** Why a library cannot be used, or empty. */
    private static String problem(Ops ops, Settings only, Library library) {
        try {
            List<SelfTest.Result> wrong = SelfTest.quick(ops, only.storage(), library.op());
            return wrong.isEmpty() ? "" : wrong.getFirst().toString();
        } catch (WanException | LinkageError e) {
            return String.valueOf(e.getMessage());
        }
    }

    /** That our kernels are faster, or that nothing could be measured; or empty. */
    private String slowness(Function<Settings, Ops> open, Settings only, Library library) {
        SelfTestCases.Case one = sizes.stream()
                .filter(size -> size.op().equals(library.op()))
                .findFirst()
                .orElseThrow();
        double theirs;
        double ours;
        try {
            theirs = seconds(open, only, one);
            ours = seconds(open, only.with(Set.of()), one);
        } catch (WanException e) { // too little memory, for one
            return "its speed is not known: " + e.getMessage();
        }
        String figures = String.format(
                Locale.ROOT,
                "%s %s takes %.2f ms, our kernels %.2f ms",
                one.op(),
                one.size(),
                theirs * 1e3,
                ours * 1e3);
        LOG.log(System.Logger.Level.INFO, "{0}: {1}", library.title(), figures);
        return theirs < ours ? "" : figures;
    }

    private static double seconds(Function<Settings, Ops> open, Settings settings, SelfTestCases.Case one) {
        try (Ops ops = open.apply(settings)) {
            return SelfTest.seconds(ops, one, MEASURE_NANOS);
        }
    }
}
