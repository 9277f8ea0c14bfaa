package wan.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import capture.Indices;
import capture.analysis.HeadId;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import wan.edit.EditPlan;
import wan.edit.Effect;
import wan.edit.Heads;
import wan.edit.Passes;
import wan.edit.Rule;
import wan.op.AttentionKind;
import wan.op.HostTensor;
import wan.op.Site;
import wan.op.UsageException;
import wan.sampling.Method;

/** Edited runs that begin in the middle of the unedited one give the bits of whole runs. */
class AblationTest {
    private static final Wan DEMO = Wan.demo();

    private static RunSpec spec(int frames, int perBlock, RunSpec.Cache cache, Method method) {
        RunSpec of = RunSpec.of(RunSpec.Model.DEMO);
        return of.withVideo(new RunSpec.Video(4, 4, frames, null))
                .withSampler(new RunSpec.Sampler(List.of(1000f, 500f), 5, true, 0, perBlock, true, method))
                .withCache(cache);
    }

    static List<RunSpec> runs() {
        RunSpec.Cache none = new RunSpec.Cache(-1, 0);
        return List.of(
                spec(7, 2, none, Method.SELF_FORCING),
                spec(7, 2, new RunSpec.Cache(4, 1), Method.SELF_FORCING),
                spec(6, 1, new RunSpec.Cache(3, 0), Method.SELF_FORCING),
                spec(
                        7,
                        2,
                        new RunSpec.Cache(5, 3),
                        new Method.FewStep(
                                List.of(1000f, 750f, 500f), Method.CacheRule.LONGLIVE, false, List.of(), true)),
                spec(
                        7,
                        2,
                        new RunSpec.Cache(4, 1),
                        new Method.FewStep(List.of(), Method.CacheRule.LONGLIVE, true, List.of(), true)),
                spec(3, 1, none, new Method.Ode(Method.Solver.UNIPC, 3, 1f)));
    }

    private static Variant variant(String heads, Effect effect, String... passes) {
        return new Variant(
                effect.name() + " " + heads + " " + List.of(passes),
                -1,
                -1,
                new EditPlan(List.of(new Rule(
                        Heads.parse("test", heads),
                        AttentionKind.SELF,
                        new Passes(List.of(passes)),
                        Indices.ALL,
                        effect))),
                null);
    }

    private static final List<Variant> VARIANTS = List.of(
            variant("0:0", new Effect.Zero()),
            variant("2:1", new Effect.Zero()),
            variant("1:all", new Effect.Mean(true)),
            variant("3:2", new Effect.Zero(), "block1.ctx"),
            variant("1:0", new Effect.Zero(), "block1.ctx"),
            variant("2:0-1", new Effect.Temperature(0.5f), "block2.step1"),
            variant("0:3", new Effect.Noise(Site.V, 1, 3), "block2.step1"),
            variant("1:2", new Effect.Keep(0, 0)),
            variant("3:1", new Effect.Zero(), "context"),
            variant("3:3", new Effect.Scale(2), "block1.step0"));

    private static final List<HeadId> WATCHED = List.of(new HeadId(0, 0), new HeadId(3, 1));

    private static Map<String, Outcome> run(
            RunSpec spec, List<Variant> variants, boolean whole, Map<String, HostTensor> latents) {
        Map<String, Outcome> outcomes = new LinkedHashMap<>();
        new Ablation(DEMO, spec, variants, WATCHED, whole, RunMonitor.NONE)
                .execute(Set.of(), RunMonitor.NONE, (outcome, result) -> {
                    outcomes.put(outcome.variant().name(), outcome);
                    latents.put(outcome.variant().name(), result);
                });
        return outcomes;
    }

    @ParameterizedTest
    @MethodSource("runs")
    void execute_givesTheBitsOfWholeRuns_whateverIsShared(RunSpec spec) {
        Map<String, HostTensor> shared = new LinkedHashMap<>();
        Map<String, HostTensor> whole = new LinkedHashMap<>();
        Map<String, Outcome> a = run(spec, VARIANTS, false, shared);
        Map<String, Outcome> b = run(spec, VARIANTS, true, whole);
        assertThat(a.keySet()).containsExactlyInAnyOrderElementsOf(b.keySet()).hasSize(VARIANTS.size());
        for (String name : a.keySet()) {
            assertThat(Objects.requireNonNull(shared.get(name)).values())
                    .as(name)
                    .isEqualTo(Objects.requireNonNull(whole.get(name)).values());
            Outcome one = Objects.requireNonNull(a.get(name));
            Outcome other = Objects.requireNonNull(b.get(name));
            assertThat(one.latents()).as(name).isEqualTo(other.latents());
            assertThat(one.frames()).as(name).isEqualTo(other.frames());
            assertThat(one.watched()).as(name).isEqualTo(other.watched());
        }
        assertThat(a.values().stream().filter(outcome -> outcome.latents().relativeL2() > 0))
                .hasSizeGreaterThanOrEqualTo(3);
    }

    /** Passes in groups of frames take no edits, and cannot begin with a later layer. */
    @Test
    void execute_givesTheBitsOfWholeRuns_whereKeysAreComputedAnew() {
        Method method = new Method.RecomputedKeys(4, true, -1, 1);
        RunSpec spec = spec(8, 2, new RunSpec.Cache(-1, 0), method)
                .withSampler(new RunSpec.Sampler(List.of(1000f, 500f), 5, true, 0, 2, false, method));
        List<Variant> variants = List.of(
                variant("2:1", new Effect.Zero(), "denoise"),
                variant("1:all", new Effect.Mean(false), "block2.step1"),
                variant("4:0", new Effect.Zero(), "block3.step0"));
        Map<String, HostTensor> shared = new LinkedHashMap<>();
        Map<String, HostTensor> whole = new LinkedHashMap<>();
        Map<String, Outcome> a = run(spec, variants, false, shared);
        Map<String, Outcome> b = run(spec, variants, true, whole);
        for (Variant variant : variants) {
            String name = variant.name();
            assertThat(Objects.requireNonNull(shared.get(name)).values())
                    .as(name)
                    .isEqualTo(Objects.requireNonNull(whole.get(name)).values());
            assertThat(Objects.requireNonNull(a.get(name)).watched())
                    .isEqualTo(Objects.requireNonNull(b.get(name)).watched());
            assertThat(Objects.requireNonNull(a.get(name)).latents().relativeL2())
                    .isPositive();
        }
    }

    @Test
    void share_isWhatIsLeftOfTheRun() {
        RunSpec spec = spec(7, 2, new RunSpec.Cache(-1, 0), Method.SELF_FORCING);
        Ablation ablation = new Ablation(DEMO, spec, VARIANTS, List.of(), false, RunMonitor.NONE);
        assertThat(ablation.share(VARIANTS.get(0))).isEqualTo(1);
        assertThat(ablation.departure(VARIANTS.get(1))).isEqualTo("block0.step0.layer2");
        assertThat(ablation.share(VARIANTS.get(1))).isBetween(0.97, 0.995);
        assertThat(ablation.departure(VARIANTS.get(3))).isEqualTo("block1.ctx.layer3");
        assertThat(ablation.share(VARIANTS.get(3))).isBetween(0.5, 0.7);
        assertThat(ablation.copiedBytes()).isLessThan(1 << 20);
        Variant nothing = variant("0:0", new Effect.Zero(), "block99.step0");
        Ablation idle = new Ablation(DEMO, spec, List.of(nothing), List.of(), false, RunMonitor.NONE);
        assertThat(idle.share(nothing)).isZero();
        assertThat(idle.departure(nothing)).isEqualTo("nothing changes");
    }

    @Test
    void execute_measuresAgainstTheUneditedRun() {
        RunSpec spec = spec(5, 2, new RunSpec.Cache(-1, 0), Method.SELF_FORCING);
        Variant late = variant("2:1", new Effect.Zero(), "block2.step1");
        Outcome outcome = Objects.requireNonNull(
                run(spec, List.of(late), false, new LinkedHashMap<>()).get(late.name()));
        assertThat(outcome.frames()).hasSize(5);
        assertThat(outcome.frames().subList(0, 3)).allMatch(frame -> frame.relativeL2() == 0 && frame.cosine() == 1);
        assertThat(outcome.frames().subList(3, 5)).allMatch(frame -> frame.relativeL2() > 0 && frame.psnr() < 100);
        Variant last = variant("2:1", new Effect.Zero(), "block2.ctx");
        Outcome keysOnly = Objects.requireNonNull(
                run(spec, List.of(last), false, new LinkedHashMap<>()).get(last.name()));
        assertThat(keysOnly.latents()).matches(d -> d.relativeL2() == 0, "later than the last latents");
        assertThat(keysOnly.watched().get(new HeadId(0, 0))).isNotNull().matches(d -> d.relativeL2() == 0, "below");
        assertThat(keysOnly.watched().get(new HeadId(3, 1))).isNotNull().matches(d -> d.relativeL2() > 0, "above");
    }

    @Test
    void execute_leavesOutWhatIsDone_andEndsWhenAsked() {
        RunSpec spec = spec(3, 2, new RunSpec.Cache(-1, 0), Method.SELF_FORCING);
        List<String> names = new ArrayList<>();
        Ablation ablation = new Ablation(DEMO, spec, VARIANTS.subList(0, 3), List.of(), false, RunMonitor.NONE);
        ablation.execute(
                Set.of(VARIANTS.get(1).name()),
                RunMonitor.NONE,
                (outcome, _) -> names.add(outcome.variant().name()));
        assertThat(names).hasSize(2).doesNotContain(VARIANTS.get(1).name());
        List<String> before = new ArrayList<>();
        RunMonitor ending = new RunMonitor() {
            @Override
            public boolean cancelled() {
                return !before.isEmpty();
            }
        };
        assertThatThrownBy(() -> ablation.execute(
                        Set.of(),
                        ending,
                        (outcome, _) -> before.add(outcome.variant().name())))
                .isInstanceOf(CancellationException.class);
        assertThat(before).hasSize(1);
    }

    @Test
    void execute_runsAnotherCachePolicyAsAWhole() {
        RunSpec spec = spec(7, 2, new RunSpec.Cache(-1, 0), Method.SELF_FORCING);
        Variant policy =
                new Variant("streaming-llm", -1, -1, EditPlan.NONE, new RunSpec.Cache(-1, 0, "infinity-rope", null));
        Outcome outcome =
                Objects.requireNonNull(run(spec, List.of(policy, VARIANTS.get(1)), false, new LinkedHashMap<>())
                        .get(policy.name()));
        assertThat(outcome.computed()).isEqualTo(1);
        assertThat(outcome.frames().getFirst().relativeL2()).isZero();
        assertThat(outcome.latents().relativeL2()).isPositive();
    }

    @Test
    void ablation_refusesNamesThatAreThereTwice_andHeadsThatAreNot() {
        RunSpec spec = spec(3, 2, new RunSpec.Cache(-1, 0), Method.SELF_FORCING);
        Variant one = VARIANTS.getFirst();
        assertThatThrownBy(() -> new Ablation(DEMO, spec, List.of(one, one), List.of(), false, RunMonitor.NONE))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("twice");
        assertThatThrownBy(() ->
                        new Ablation(DEMO, spec, List.of(one), List.of(new HeadId(0, 12)), false, RunMonitor.NONE))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("0:12");
    }
}
