package wan.run;

import capture.Capture;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;
import wan.edit.Edits;
import wan.op.AttentionKind;
import wan.op.AttentionTap;
import wan.op.ForwardingObserver;
import wan.op.HostTensor;
import wan.op.LayerEntry;
import wan.op.Ops;
import wan.op.PassObserver;
import wan.op.Site;
import wan.op.Tensor;
import wan.pass.Pass;
import wan.pass.PassRunner;
import wan.pass.SavedPages;
import wan.sampling.Fork;
import wan.sampling.RunListener;
import wan.sampling.Sampler;

/** The unedited run of an {@link Ablation}, and what it keeps for the edited runs that depart from it. */
final class Trunk {
    private final Job job;
    private final IntFunction<@Nullable Points> points;
    private final RunMonitor monitor;
    private final Map<Integer, HostTensor> inputs = new HashMap<>();
    private final Map<Departure, HostTensor> residuals = new HashMap<>();
    private final Map<Integer, List<SavedPages>> before = new HashMap<>();
    private final Map<Integer, List<SavedPages>> behind = new HashMap<>();

    /**
     * The layers of one pass at which edited runs leave, ascending.
     *
     * @param layers counted from 0
     */
    record Points(List<Integer> layers) {
        int first() {
            return layers.getFirst();
        }

        int last() {
            return layers.getLast();
        }
    }

    Trunk(Job job, IntFunction<@Nullable Points> points, RunMonitor monitor) {
        this.job = job;
        this.points = points;
        this.monitor = monitor;
    }

    HostTensor run(Sampler sampler, PassRunner runner, Edits edits, @Nullable Capture capture) {
        return sampler.run(runner, new RunListener() {
            private int index = -1;

            @Override
            public PassObserver passStarted(Pass pass) {
                index++;
                monitor.checkCancelled();
                monitor.passStarted(pass);
                Points here = points.apply(index);
                if (here != null) {
                    before.put(
                            index, save(runner, index, here.first(), job.plan().numLayers()));
                }
                PassObserver captured = capture == null ? PassObserver.NONE : capture.observe(pass);
                return cancellable(
                        Edits.watched(edits.observe(pass), here == null ? captured : keeping(captured, index, here)),
                        monitor,
                        true);
            }

            @Override
            public void passDone(Pass pass, HostTensor latents, @Nullable HostTensor flow, @Nullable HostTensor x0) {
                Points here = points.apply(index);
                if (here != null) {
                    inputs.put(index, latents);
                    behind.put(index, save(runner, index + 1, 0, here.last()));
                }
            }
        });
    }

    private List<SavedPages> save(PassRunner runner, int pass, int from, int end) {
        List<SavedPages> saved = new ArrayList<>();
        for (int cache = 0; cache < job.plan().caches().size(); cache++) {
            List<Integer> pages = Departure.overwritten(job.plan().passes(), cache, pass);
            if (job.plan().caches().get(cache).perLayer() && !pages.isEmpty() && from < end) {
                saved.add(runner.save(cache, pages, from, end));
            }
        }
        return saved;
    }

    /** Keeps the residual stream where an edited run leaves. */
    private PassObserver keeping(PassObserver captured, int pass, Points here) {
        return new PassObserver() {
            @Override
            public AttentionTap tap(int layer, AttentionKind kind) {
                return captured.tap(layer, kind);
            }

            @Override
            public boolean keepsNonFinite() {
                return captured.keepsNonFinite();
            }

            @Override
            public boolean looksAt(int layer, Site site) {
                return site == Site.RESID && here.layers().contains(layer + 1);
            }

            @Override
            public void visit(int layer, Site site, Tensor x, Ops ops) {
                residuals.put(new Departure(pass, layer + 1), new HostTensor(x.shape(), ops.read(x)));
            }
        };
    }

    /**
     * Runs what is left of an edited run.
     *
     * @param reference the unedited run's latents
     * @param observer of each pass
     */
    HostTensor branch(
            Sampler sampler,
            PassRunner runner,
            Departure departure,
            HostTensor reference,
            Function<Pass, PassObserver> observer) {
        int first = departure.pass();
        if (first == job.plan().passes().size()) {
            return reference;
        }
        for (SavedPages pages : Objects.requireNonNull(before.get(first))) {
            runner.restore(pages.layers(departure.layer(), pages.end()));
        }
        for (SavedPages pages : Objects.requireNonNull(behind.get(first))) {
            runner.restore(pages.layers(0, departure.layer()));
        }
        LayerEntry entry = departure.layer() == 0
                ? null
                : new LayerEntry(departure.layer(), Objects.requireNonNull(residuals.get(departure)));
        Fork fork = new Fork(first, Objects.requireNonNull(inputs.get(first)), reference);
        return sampler.fork(runner, fork, new RunListener() {
            private @Nullable LayerEntry next = entry;

            @Override
            public PassObserver passStarted(Pass pass) {
                PassObserver own = observer.apply(pass);
                LayerEntry here = next;
                next = null;
                return here == null ? own : entering(own, here);
            }
        });
    }

    private static PassObserver entering(PassObserver own, LayerEntry entry) {
        return new ForwardingObserver(own) {
            @Override
            public LayerEntry entry() {
                return entry;
            }
        };
    }

    /** The same observer, which ends the run between two layers if the monitor wants that. */
    static PassObserver cancellable(PassObserver own, RunMonitor monitor, boolean told) {
        return new ForwardingObserver(own) {
            @Override
            public void layerDone(int layer) {
                monitor.checkCancelled();
                if (told) {
                    monitor.layerDone(layer);
                }
                own.layerDone(layer);
            }
        };
    }
}
