package wan.sweep;

import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import wan.pass.Pass;
import wan.run.Job;
import wan.run.RunMonitor;
import wan.run.RunSpec;
import wan.run.Wan;
import wan.sampling.RunCost;

/**
 * The cost of a sweep, computed from the plans of its runs.
 *
 * @param runs the number of runs
 * @param passes the passes of all runs
 * @param flops the floating-point operations of all runs
 * @param captureBytes the size of all captures
 * @param flopsPerSecond as measured in passes of the first run
 */
public record SweepCost(int runs, long passes, double flops, long captureBytes, double flopsPerSecond) {
    /** Passes are measured for at least this long. The first pass does not count, because it includes the set-up. */
    private static final double MEASURED_SECONDS = 2;

    /** One run's share. */
    private record Size(int passes, double flops, long bytes) {}

    /**
     * Plans one run of each different cost, and measures some passes of the first run.
     *
     * @throws wan.op.UsageException if a run cannot be run
     */
    public static SweepCost of(List<SweepRun> runs, @Nullable Integer threads, RunMonitor monitor) {
        Map<RunSpec, Size> known = new HashMap<>();
        long passes = 0;
        double flops = 0;
        long bytes = 0;
        double rate = 0;
        Wan wan = null;
        RunSpec.Model open = null;
        try {
            for (SweepRun run : runs) {
                RunSpec spec = alike(run.spec());
                Size size = known.get(spec);
                if (size == null) {
                    if (wan == null || !run.spec().model().equals(open)) {
                        if (wan != null) {
                            wan.close();
                        }
                        open = run.spec().model();
                        wan = Wan.open(open, rate == 0 ? monitor : RunMonitor.NONE);
                    }
                    if (rate == 0) {
                        rate = measure(wan, inMemory(run.spec(), threads));
                    }
                    Job job = wan.prepare(inMemory(run.spec(), threads), RunMonitor.NONE);
                    size = new Size(job.plan().passes().size(), job.cost().flops(job.plan()), job.captureBytes());
                    known.put(spec, size);
                }
                passes += size.passes();
                flops += size.flops();
                bytes += size.bytes();
            }
        } finally {
            if (wan != null) {
                wan.close();
            }
        }
        return new SweepCost(runs.size(), passes, flops, bytes, rate);
    }

    /** The computing time on one machine like this one. Opening models and writing results come on top. */
    public double seconds() {
        return flops / flopsPerSecond;
    }

    /** Equal for all runs with the same cost: another seed or another text does not change the cost. */
    private static RunSpec alike(RunSpec spec) {
        RunSpec.Prompt p = spec.prompt();
        RunSpec.Noise n = spec.noise();
        return spec.withPrompt(new RunSpec.Prompt(
                        Collections.nCopies(p.texts().size(), ""),
                        null,
                        p.embeddings(),
                        null,
                        null,
                        true,
                        Collections.nCopies(p.later().size(), "")))
                .withNoise(new RunSpec.Noise(n.generator(), 0, n.bf16(), n.cudaDevice(), n.replay(), n.replayRun()));
    }

    private static RunSpec inMemory(RunSpec spec, @Nullable Integer threads) {
        RunSpec run = spec.withOutput(
                new RunSpec.Output(null, null, false, spec.output().toTheEnd(), null));
        return threads == null ? run : run.withDevice(run.device().onThreads(threads));
    }

    private static double measure(Wan wan, RunSpec spec) {
        Clock clock = new Clock();
        boolean _ = wan.prepare(spec, clock).execute(clock).complete();
        return clock.rate();
    }

    /** Measures the passes of a run, and cancels the run once it has measured long enough. */
    private static final class Clock implements RunMonitor {
        private @Nullable RunCost cost;
        private long start;
        private long last;
        private int begun;
        private double flops;
        private double firstFlops;
        private @Nullable Pass pass;

        @Override
        public void started(Job job) {
            cost = job.cost();
        }

        @Override
        public void passStarted(Pass next) {
            if (begun == 0 || begun == 1) {
                start = System.nanoTime();
                firstFlops = flops;
            }
            begun++;
            pass = next;
        }

        @Override
        public void layerDone(int layer) {
            if (cost != null && pass != null) {
                flops += cost.layerFlops(pass);
                last = System.nanoTime();
            }
        }

        @Override
        public boolean cancelled() {
            return begun > 2 && (last - start) / 1e9 > MEASURED_SECONDS;
        }

        double rate() {
            return (flops - firstFlops) * 1e9 / (last - start);
        }
    }
}
