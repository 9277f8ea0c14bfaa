package wan.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import capture.Indices;
import capture.PassChoice;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.management.JMException;
import javax.management.ObjectName;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import wan.backend.HostMemory;
import wan.jvm.onednn.OneDnnStatus;
import wan.model.WanConfig;
import wan.op.AttentionKind;
import wan.op.DType;
import wan.op.Quantity;
import wan.op.WanException;
import wan.pass.Pass;
import wan.sampling.Method;
import wan.weights.RandomModel;

/**
 * What a run is said to need of this machine's memory beside what another JVM says that it has: the collector of its heap, and its own count
 * of native memory.
 */
class HostMemoryTest {
    private static final WanConfig CONFIG = new WanConfig(384, 1536, 64, 16, 16, 6, 4, 64, 64, 1e-6f);
    private static final Pattern NATIVE = Pattern.compile("Other \\(reserved=\\d+, committed=(\\d+)");

    /** What the other JVM has said of each case, word by word. */
    private static final Map<String, String[]> MEASURED = new HashMap<>();

    /** A run that is measured. */
    @SuppressWarnings("ImmutableEnumChecker") // its lambdas hold nothing
    enum Case {
        WINDOW("jvm", DType.BF16, spec -> frames(spec, 16, 13).withCache(new RunSpec.Cache(7, 0))),
        WHOLE("jvm", DType.F32, spec -> captures(frames(spec, 16, 9), Quantity.FRAME_MASS)),
        KEPT(
                "jvm",
                DType.BF16,
                spec -> captures(frames(spec, 8, 13), Quantity.TOKEN_LOGITS).withOutput(kept())),
        WIDE("jvm", DType.F16, spec -> frames(spec, 48, 3)),
        SOLVER(
                "jvm",
                DType.BF16,
                spec -> frames(spec, 16, 9)
                        .withSampler(new RunSpec.Sampler(
                                List.of(1000f), 5, true, 0, 9, false, new Method.Ode(Method.Solver.UNIPC, 3, 3)))),
        POLICY(
                "jvm",
                DType.BF16,
                spec -> frames(spec, 16, 15).withCache(new RunSpec.Cache(null, null, "reward-forcing", null))),
        HALF_CACHE(
                "jvm",
                DType.BF16,
                spec -> captures(frames(spec, 16, 15), Quantity.KEY_LOGITS)
                        .withDevice(new RunSpec.Device("jvm", DType.F32, DType.BF16, "auto", "auto", 0, null))),
        ONEDNN_F32("onednn:f32", DType.BF16, spec -> captures(frames(spec, 16, 13), Quantity.FRAME_MASS)),
        ONEDNN_BF16("onednn:bf16", DType.F32, spec -> frames(spec, 16, 13).withCache(new RunSpec.Cache(7, 0))),
        ONEDNN_INT8("onednn:int8", DType.BF16, spec -> frames(spec, 16, 13));

        private final String device;
        private final DType stored;
        private final UnaryOperator<RunSpec> run;

        Case(String device, DType stored, UnaryOperator<RunSpec> run) {
            this.device = device;
            this.stored = stored;
            this.run = run;
        }

        private static RunSpec frames(RunSpec spec, int height, int frames) {
            return spec.withVideo(new RunSpec.Video(height, 16, frames, null));
        }

        private static RunSpec captures(RunSpec spec, Quantity quantity) {
            return spec.withCapture(spec.capture().withQuantities(EnumSet.of(quantity)));
        }

        private static RunSpec.Output kept() {
            return new RunSpec.Output(null, null, false, true, null);
        }

        RunSpec spec(Path model, Path result) {
            RunSpec spec = RunSpec.of(RunSpec.Model.of(model));
            return run.apply(spec.withCapture(new RunSpec.Captures(
                            Indices.of(3),
                            Indices.of(0, 1, 2),
                            EnumSet.of(AttentionKind.SELF),
                            PassChoice.parse("last"),
                            EnumSet.of(Quantity.FRAME_LOGITS),
                            Set.of(),
                            false))
                    .withDevice(spec.device().named(device))
                    .withOutput(new RunSpec.Output(result, null, false, true, null)));
        }
    }

    /** Looks at the heap when a pass begins, since scratch of earlier sizes may have gone by the last, and outside of it at the last. */
    private static final class Meter implements RunMonitor {
        private final Pass last;
        private long heap;
        private long outside;

        Meter(Pass last) {
            this.last = last;
        }

        @Override
        public void passStarted(Pass pass) {
            heap = Math.max(heap, heap());
            if (pass.equals(last)) {
                outside = outside();
            }
        }
    }

    private static long heap() {
        System.gc();
        return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    }

    private static long outside() {
        try {
            ObjectName commands = new ObjectName("com.sun.management:type=DiagnosticCommand");
            Object said = ManagementFactory.getPlatformMBeanServer()
                    .invoke(
                            commands,
                            "vmNativeMemory",
                            new Object[] {new String[] {"summary", "scale=1"}},
                            new String[] {String[].class.getName()});
            Matcher matcher = NATIVE.matcher(said.toString());
            assertThat(matcher.find()).as(said.toString()).isTrue();
            return Long.parseLong(matcher.group(1));
        } catch (JMException e) {
            throw new IllegalStateException(e);
        }
    }

    /** What the other JVM does: runs cases, and prints of each what it has of heap and outside of it, then what was planned. */
    public static void main(String[] args) {
        boolean first = true;
        for (Case measured : Case.values()) {
            if (isThere(measured.device)) {
                Path model = Path.of(args[0], measured.stored.name());
                if (!Files.exists(model)) {
                    RandomModel.write(model, CONFIG, measured.stored, 1, (_, _) -> {});
                }
                for (int times = first ? 2 : 1; times > 0; times--) { // classes, and what they keep, are nobody's plan
                    measure(measured, model, Path.of(args[0], measured + ".safetensors"));
                }
                first = false;
            }
        }
    }

    private static boolean isThere(String device) {
        OneDnnStatus status = OneDnnStatus.find();
        return device.equals("jvm") || (status.isThere() && (status.int8() || !device.equals("onednn:int8")));
    }

    private static void measure(Case measured, Path model, Path result) {
        try (Wan wan = Wan.open(model)) {
            RunSpec spec = measured.spec(model, result);
            Job job = wan.prepare(spec, RunMonitor.NONE);
            HostMemory planned = Objects.requireNonNull(job.hostMemory());
            long heap = heap();
            long outside = outside();
            Meter meter = new Meter(job.plan().passes().getLast());
            assertThat(job.execute(meter).complete()).isTrue();
            System.out.println(measured + " " + (meter.heap - heap) + " " + (meter.outside - outside) + " "
                    + (planned.heap() + job.capturedBytes()) + " " + planned.outside() + " "
                    + planned.parts(job.capturedBytes()));
        }
    }

    @BeforeAll
    static void measure(@TempDir Path folder) throws Exception {
        Path said = folder.resolve("said");
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx700m",
                        "-XX:+UseSerialGC",
                        "-XX:MarkSweepAlwaysCompactCount=1",
                        "-XX:NativeMemoryTracking=summary",
                        "-XX:-UsePerfData",
                        "-Dwan.onednn.library=" + System.getProperty("wan.onednn.library", ""),
                        "--add-modules",
                        "jdk.incubator.vector",
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        HostMemoryTest.class.getName(),
                        folder.toString())
                .redirectError(folder.resolve("errors").toFile())
                .redirectOutput(said.toFile())
                .start();
        assertThat(process.waitFor())
                .as(Files.readString(folder.resolve("errors")))
                .isZero();
        Files.readAllLines(said).forEach(line -> MEASURED.put(line.split(" ", 2)[0], line.split(" ", 6)));
    }

    @ParameterizedTest
    @EnumSource
    void planned_isWhatIsAllocated(Case measured) {
        String[] words = MEASURED.get(measured.name());
        assumeTrue(words != null, () -> "SKIPPED: " + OneDnnStatus.find().problem());
        long heap = Long.parseLong(words[3]);
        long outside = Long.parseLong(words[4]);
        assertThat(Long.parseLong(words[1])).as("heap, %s", words[5]).isCloseTo(heap, within(heap / 10));
        assertThat(Long.parseLong(words[2])).as("outside, %s", words[5]).isCloseTo(outside, within(outside / 10));
    }

    @Test
    void check_saysTheNumbers_whenTheHeapOrTheMachineIsTooSmall() {
        long gib = 1L << 30;
        HostMemory memory = new HostMemory(gib, 4 * gib, 3 * gib, 2 * gib, gib, gib);
        memory.check(gib, 6 * gib, 13 * gib);
        assertThatThrownBy(() -> memory.check(gib, 6 * gib - 1, 13 * gib))
                .isInstanceOf(WanException.class)
                .hasMessageStartingWith(
                        "memory: expected 6.0 GiB of heap (keys and values 3.0 GiB, activations 1.0 GiB,"
                                + " captures and copies 1.0 GiB, small parameters 1.0 GiB) and 7.0 GiB outside of it (weights"
                                + " 4.0 GiB, keys and values 2.0 GiB, buffers 1.0 GiB), got a heap of at most 6.0 GiB; use fewer")
                .hasMessageEndingWith(", or a larger Java heap");
        assertThatThrownBy(() -> memory.check(gib, 6 * gib, 13 * gib - 1))
                .isInstanceOf(WanException.class)
                .hasMessageContaining("got a heap of at most 6.0 GiB and 13.0 GiB of memory; use fewer frames");
    }
}
