package wan.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import capture.Indices;
import capture.PassChoice;
import capture.QueryRegion;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;
import wan.cache.Policies;
import wan.edit.EditJson;
import wan.edit.EditPlan;
import wan.file.Safetensors;
import wan.file.SafetensorsWriter;
import wan.model.WanConfig;
import wan.noise.CudaGeometry;
import wan.noise.Rng;
import wan.op.AttentionKind;
import wan.op.DType;
import wan.op.NonFiniteException;
import wan.op.ObservedOps;
import wan.op.Ops;
import wan.op.Quantity;
import wan.op.Shape;
import wan.op.Tensor;
import wan.op.WanException;
import wan.sampling.Method;

/** Runs that end before their time, however, leave what they finished; the run that goes on gives the bytes of one left alone. */
@Tag("slow")
class ResumedRunTest {
    @TempDir
    Path folder;

    private Path result = Path.of("");
    private final List<String> notices = new ArrayList<>();

    @BeforeEach
    void name() {
        result = folder.resolve("run.safetensors");
    }

    private RunSpec spec() {
        RunSpec spec = RunSpec.of(RunSpec.Model.DEMO);
        return spec.withVideo(new RunSpec.Video(2, 4, 7, null))
                .withSampler(new RunSpec.Sampler(List.of(1000f, 500f), 5, true, 0, 2, true, Method.SELF_FORCING))
                .withCapture(new RunSpec.Captures(
                        Indices.of(0, 4),
                        Indices.of(1, 3),
                        EnumSet.allOf(AttentionKind.class),
                        PassChoice.parse("all"),
                        EnumSet.allOf(Quantity.class),
                        Set.of(),
                        false,
                        List.of(QueryRegion.parse("2,0,0"), QueryRegion.parse("4,0,0"))))
                .withDevice(new RunSpec.Device("jvm", DType.F32, DType.F32, "auto", "auto", 0, 1))
                .withOutput(new RunSpec.Output(result, null, false, true, null));
    }

    /** Ends a run in its n-th operation. */
    private final class Failing implements RunMonitor {
        private final int operations;
        private final Supplier<Throwable> failure;
        private int seen;

        Failing(int operations, Supplier<Throwable> failure) {
            this.operations = operations;
            this.failure = failure;
        }

        @Override
        public void notice(String text) {
            notices.add(text);
        }

        @Override
        public Ops instrument(Ops ops) {
            return new ObservedOps(ops) {
                @Override
                protected Tensor observe(String op, double flops, Supplier<Tensor> call) {
                    if (++seen == operations) {
                        Failing.<RuntimeException>raise(failure.get());
                    }
                    return call.get();
                }
            };
        }

        @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals"})
        private static <E extends Throwable> void raise(Throwable e) throws E {
            throw (E) e;
        }
    }

    private RunResult run(RunSpec spec, RunMonitor monitor, Leftovers leftovers) {
        try (Wan wan = Wan.open(spec.model(), monitor)) {
            return wan.prepare(spec, monitor).execute(monitor, leftovers);
        }
    }

    private int operations(RunSpec spec) {
        Failing counting = new Failing(Integer.MAX_VALUE, IllegalStateException::new);
        RunResult _ = run(spec, counting, Leftovers.KEEP);
        return counting.seen;
    }

    /** Runs alone, then ends a run at several places, goes on, and compares all files that it makes. */
    private void compare(RunSpec spec, int places) throws IOException {
        int operations = operations(spec);
        Map<String, byte[]> whole = files();
        assertThat(whole).isNotEmpty();
        Random random = new Random(operations);
        for (int i = 0; i < places; i++) {
            int at = i == 0 ? operations : 1 + random.nextInt(operations);
            for (Path file : list()) {
                Files.writeString(file, "older");
            }
            assertThatThrownBy(() -> run(spec, new Failing(at, () -> new WanException("device lost")), Leftovers.KEEP))
                    .hasMessageContaining("device lost");
            for (Path file : list()) {
                if (!file.toString().contains(".partial")) {
                    assertThat(file).hasContent("older");
                }
            }
            RunResult resumed = run(spec, new Failing(Integer.MAX_VALUE, IllegalStateException::new), Leftovers.RESUME);
            assertThat(resumed.complete()).isTrue();
            Map<String, byte[]> again = files();
            assertThat(again.keySet()).isEqualTo(whole.keySet());
            for (String name : whole.keySet()) {
                assertThat(again.get(name))
                        .as(name + ", ended at operation " + at)
                        .isEqualTo(whole.get(name));
            }
        }
    }

    private List<Path> list() throws IOException {
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(Files::isRegularFile)
                    .filter(file -> !file.getFileName().toString().startsWith("given"))
                    .sorted()
                    .toList();
        }
    }

    private Map<String, byte[]> files() throws IOException {
        Map<String, byte[]> files = new TreeMap<>();
        for (Path file : list()) {
            files.put(folder.relativize(file).toString(), Files.readAllBytes(file));
        }
        return files;
    }

    @Test
    void resume_givesTheSameBytes_ofEveryQuantity() throws IOException {
        compare(spec(), 4);
    }

    @Test
    void resume_givesTheSameBytes_ofAWindowWithASink() throws IOException {
        compare(spec().withCache(new RunSpec.Cache(4, 1)), 4);
    }

    @ParameterizedTest
    @EnumSource(Rng.class)
    void resume_givesTheSameBytes_ofEveryGenerator(Rng rng) throws IOException {
        compare(spec().withNoise(new RunSpec.Noise(rng, 9, rng != Rng.JAVA, CudaGeometry.H100)), 2);
    }

    @ParameterizedTest
    @ValueSource(strings = {"run.npz", "run.pt"})
    void resume_givesTheSameBytes_ofEveryFormat(String name) throws IOException {
        result = folder.resolve(name);
        RunSpec spec = spec();
        compare(
                name.endsWith(".pt")
                        ? spec.withCapture(new RunSpec.Captures(
                                Indices.of(0, 4),
                                Indices.of(1, 3),
                                EnumSet.of(AttentionKind.SELF),
                                PassChoice.FIRST,
                                EnumSet.of(Quantity.FRAME_LOGITS),
                                Set.of(),
                                false))
                        : spec,
                3);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void resume_givesTheSameBytes_ofLatentsAndPasses(boolean passes) throws IOException {
        compare(
                spec().withOutput(
                                new RunSpec.Output(result, folder.resolve("latents.safetensors"), passes, true, null)),
                3);
    }

    @Test
    void resume_givesTheSameBytes_ofARunThatEndsEarly() throws IOException {
        RunSpec spec = spec();
        RunSpec.Captures c = spec.capture();
        compare(
                spec.withOutput(new RunSpec.Output(result, null, false, false, null))
                        .withCapture(new RunSpec.Captures(
                                Indices.of(2),
                                c.heads(),
                                c.attention(),
                                PassChoice.FIRST,
                                c.quantities(),
                                Set.of(),
                                false,
                                c.queries())),
                3);
    }

    @Test
    void resume_givesTheSameBytes_withGivenFrames() throws IOException {
        Path given = folder.resolve("given.safetensors");
        tensors(given, Map.of(), Map.of("initial_latent", Shape.of(1, 3, 16, 2, 4)));
        compare(spec().withVideo(new RunSpec.Video(2, 4, 4, given)), 4);
    }

    static Stream<Policies> policies() {
        return Arrays.stream(Policies.values());
    }

    /** Blended pages, pages that some heads have given back, keys at other positions: all come back. */
    @ParameterizedTest
    @MethodSource("policies")
    void resume_givesTheSameBytes_ofEveryCachePolicy(Policies policy) throws IOException {
        List<String> groups = policy.groups();
        String heads = null;
        if (groups.size() > 1) {
            heads = IntStream.range(0, groups.size())
                    .mapToObj(group -> groups.get(group) + "=all:" + (group == 0 ? "0,1" : group == 1 ? "2-5" : "6"))
                    .collect(Collectors.joining(";"));
        }
        // Six tokens a frame where it is cut into six patches.
        RunSpec.Video video = switch (policy) {
            case FORCING_KV -> new RunSpec.Video(4, 6, 15, null);
            case DEEP_FORCING -> new RunSpec.Video(2, 4, 33, null); // tokens are chosen twice
            default -> new RunSpec.Video(2, 2, 21, null);
        };
        compare(ofThrees(video, new RunSpec.Cache(-1, 0, policy.option(), heads)), 2);
    }

    private RunSpec ofThrees(RunSpec.Video video, RunSpec.Cache cache) {
        return spec().withVideo(video)
                .withSampler(new RunSpec.Sampler(List.of(1000f, 500f), 5, true, 0, 3, false, Method.SELF_FORCING))
                .withCache(cache);
    }

    /** What the run has chosen is in its result, and what goes on from behind the choice does not choose again. */
    @Test
    void resume_givesTheSameBytes_whereTheRunChoosesGroupsOfHeads() throws IOException {
        compare(ofThrees(new RunSpec.Video(2, 6, 15, null), new RunSpec.Cache(-1, 0, "dummy-forcing", null)), 5);
        try (Safetensors file = Safetensors.open(result)) {
            assertThat(file.metadata().get("head_groups")).contains("dummy=", "sink=");
        }
    }

    @Test
    void resume_givesTheSameBytes_withInterventions() throws IOException {
        Path vector = folder.resolve("given.safetensors");
        tensors(vector, Map.of(), Map.of("v", Shape.of(16)));
        EditPlan edits = EditJson.parse("test", JsonMapper.shared().readTree("""
                                [{"do": "zero", "heads": "1:3"},
                                 {"do": "temperature", "heads": "0:all", "value": 0.5},
                                 {"do": "bias", "heads": "2:0-2", "frames": "1", "value": -2.0},
                                 {"do": "mean", "heads": "3:1"},
                                 {"do": "keep", "heads": "all:4", "sink": 1, "window": 2},
                                 {"do": "add", "heads": "2:5", "site": "q", "from": "FILE", "tensor": "v", "value": 2.0},
                                 {"do": "noise", "heads": "1:6", "site": "k", "value": 0.1, "seed": 9}]
                                """.replace("FILE", vector.toString())));
        compare(spec().withEdits(edits), 4);
        compare(spec().withEdits(edits).withCache(new RunSpec.Cache(4, 1)), 3);
    }

    static List<Method> methods() {
        return List.of(
                new Method.RollingWindow(6, 8),
                new Method.RecomputedKeys(4, true, -1, 1),
                new Method.FewStep(List.of(), Method.CacheRule.LONGLIVE, true, List.of(), true),
                new Method.Ode(Method.Solver.UNIPC, 4, 6),
                new Method.Ode(Method.Solver.DPMPP, 4, 1),
                new Method.Ode(Method.Solver.UNIPC, 3, 3, 2, 3, false, true));
    }

    @ParameterizedTest
    @MethodSource("methods")
    void resume_givesTheSameBytes_ofEverySampler(Method method) throws IOException {
        boolean whole = method instanceof Method.Ode ode && !ode.perFrameBlock();
        RunSpec spec = spec().withVideo(new RunSpec.Video(2, 2, 6, null))
                .withSampler(new RunSpec.Sampler(List.of(1000f, 500f), 5, true, 0, 2, false, method));
        compare(spec, 3);
        compare(
                spec.withOutput(new RunSpec.Output(result, folder.resolve("latents.safetensors"), !whole, true, null)),
                2);
    }

    @Test
    void resume_givesTheSameBytes_ofAReplay() throws IOException {
        WanConfig config;
        try (Wan wan = Wan.demo()) {
            config = wan.config();
        }
        Map<String, Shape> shapes = new TreeMap<>();
        shapes.put("noise", Shape.of(1, 5, 16, 2, 4));
        shapes.put("prompt_embeds", Shape.of(1, config.textLen(), config.textDim()));
        shapes.put("block0.step0.renoise", Shape.of(1, 1, 16, 2, 4));
        shapes.put("block1.step0.renoise", Shape.of(1, 2, 16, 2, 4));
        shapes.put("block2.step0.renoise", Shape.of(1, 2, 16, 2, 4));
        Path recording = folder.resolve("given.safetensors");
        String settings = "{\"latent_height\":2,\"latent_width\":4,\"num_frames_noise\":5,\"num_frame_per_block\":2,"
                + "\"independent_first_frame\":true,\"denoising_step_list\":[1000,500],\"timestep_shift\":5,"
                + "\"warp_denoising_step\":true}";
        tensors(recording, Map.of("config", settings), shapes);
        RunSpec replayed = spec().replaying(recording, "");
        compare(replayed, 3);

        // The recording is changed behind the run's back.
        RuntimeException lost = new WanException("lost");
        assertThatThrownBy(() -> run(replayed, new Failing(operations(replayed) - 1, () -> lost), Leftovers.KEEP))
                .isSameAs(lost);
        tensors(recording, Map.of("config", settings, "other", ""), Map.copyOf(shapes));
        shapes.put("block3.step0.renoise", Shape.of(1));
        tensors(recording, Map.of("config", settings), shapes);
        assertThatThrownBy(() -> run(replayed, RunMonitor.NONE, Leftovers.RESUME))
                .isInstanceOf(WanException.class)
                .hasMessageContaining("is of another run, whose prompt0.text is [1, 32, 64] ");
    }

    private static int seed;

    private static void tensors(Path file, Map<String, String> metadata, Map<String, Shape> shapes) {
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 4096)) {
            SplittableRandom random = new SplittableRandom(seed++);
            shapes.forEach((name, shape) -> {
                float[] values = new float[shape.intSize()];
                for (int i = 0; i < values.length; i++) {
                    values[i] = (float) random.nextGaussian();
                }
                writer.add(name, DType.F32, shape).write(values);
            });
            writer.finish(metadata);
        }
    }

    @Test
    void resume_goesOn_whateverEndedTheRun() throws IOException {
        RunSpec spec = spec();
        int operations = operations(spec);
        byte[] whole = Files.readAllBytes(result);
        List<Throwable> ends = List.of(
                new OutOfMemoryError("Java heap space"),
                new NonFiniteException("flow: expected finite numbers"),
                new IllegalStateException("a bug"),
                new StackOverflowError("deep"),
                new CancellationException("stopped"));
        Files.writeString(result, "older");
        // Each run goes on with what the one before has left.
        int at = operations / 5;
        for (Throwable end : ends) {
            Failing monitor = new Failing(at, () -> end);
            if (end instanceof CancellationException) {
                RunResult stopped = run(spec, monitor, Leftovers.RESUME);
                assertThat(stopped.complete()).isFalse();
                assertThat(stopped.file()).isNull();
                assertThat(stopped.partial()).isEqualTo(folder.resolve("run.safetensors.partial"));
            } else {
                assertThatThrownBy(() -> run(spec, monitor, Leftovers.RESUME))
                        .satisfies(e -> assertThat(e.getClass()).isEqualTo(end.getClass()))
                        .hasMessageContaining(String.valueOf(end.getMessage()));
                assertThat(notices)
                        .last()
                        .asString()
                        .contains("passes are kept in", "continue the same run with leftovers.resume");
            }
            assertThat(result).hasContent("older");
        }
        RunResult resumed = run(spec, RunMonitor.NONE, Leftovers.RESUME);
        assertThat(resumed.frameLogits(4).get(1, 6, 0)).isFinite();
        assertThat(result).hasBinaryContent(whole);
        assertThat(list()).containsExactly(result);
    }

    @Test
    void execute_refusesLeftovers_unlessToldWhatToDo() throws IOException {
        RunSpec spec = spec();
        int operations = operations(spec);
        byte[] whole = Files.readAllBytes(result);
        Failing failing = new Failing(operations * 2 / 3, () -> new WanException("lost"));
        assertThatThrownBy(() -> run(spec, failing, Leftovers.KEEP)).hasMessage("lost");
        Path left = folder.resolve("run.safetensors.partial");
        assertThatThrownBy(() -> run(spec, RunMonitor.NONE, Leftovers.KEEP))
                .isInstanceOf(WanException.class)
                .hasMessage(left + ": holds 6 of 12 passes of an interrupted run; leftovers.resume continues it,"
                        + " leftovers.salvage writes a partial result, leftovers.discard deletes it");
        RunSpec other = spec.withNoise(new RunSpec.Noise(Rng.TORCH_CUDA, 43, true, CudaGeometry.H100));
        assertThatThrownBy(() -> run(other, RunMonitor.NONE, Leftovers.RESUME))
                .isInstanceOf(WanException.class)
                .hasMessageContaining(
                        "is of another run, whose spec.noise.seed is 42 where this one's is 43; leftovers.discard"
                                + " removes it");
        RunSpec longer = spec.withVideo(new RunSpec.Video(2, 4, 9, null));
        assertThatThrownBy(() -> run(longer, RunMonitor.NONE, Leftovers.RESUME))
                .hasMessageContaining("whose num_frames is 7 where this one's is 9");
        assertThat(left).isDirectory();

        try (Wan wan = Wan.demo()) {
            Path part = folder.resolve("part.safetensors");
            Job job = wan.prepare(spec, RunMonitor.NONE);
            RunResult salvaged = job.salvage(part, RunMonitor.NONE);
            assertThat(salvaged.state()).isEqualTo("partial: 6 of 12 passes");
            try (Safetensors partial = Safetensors.open(part);
                    Safetensors complete = Safetensors.open(result)) {
                assertThat(partial.metadata().get("run")).isEqualTo("partial: 6 of 12 passes");
                assertThat(partial.names()).contains("block1.ctx.layer4.frame_logits", "layer0.mask");
                List<String> captured = partial.names().stream()
                        .filter(name -> name.startsWith("block"))
                        .toList();
                assertThat(captured).noneMatch(name -> name.startsWith("block3"));
                for (String name : captured) {
                    assertThat(partial.tensor(name).toFloats())
                            .isEqualTo(complete.tensor(name).toFloats());
                }
            }
            assertThatThrownBy(() -> job.salvage(result, RunMonitor.NONE))
                    .hasMessageStartingWith("leftovers.salvage: expected a file other than output.result");
            Files.delete(part);
        }

        PartialSummary summary = PartialSummary.of(left);
        assertThat(summary.passes()).isEqualTo(6);
        RunResult _ = run(spec, RunMonitor.NONE, Leftovers.DISCARD);
        assertThat(result).hasBinaryContent(whole);
        assertThat(list()).containsExactly(result);
        // With nothing there, resuming begins anew.
        Files.delete(result);
        RunResult _ = run(spec, RunMonitor.NONE, Leftovers.RESUME);
        assertThat(result).hasBinaryContent(whole);
    }

    @Test
    void resume_finishes_whatOnlyHadToBeMoved() throws IOException {
        RunSpec spec =
                spec().withOutput(new RunSpec.Output(result, folder.resolve("latents.safetensors"), false, true, null));
        // The latents' place is taken by a folder: everything is computed when the run fails.
        Files.createDirectory(folder.resolve("latents.safetensors"));
        assertThatThrownBy(() -> run(spec, RunMonitor.NONE, Leftovers.KEEP)).hasMessageContaining("is a folder");
        Path left = folder.resolve("run.safetensors.partial");
        assertThat(PartialSummary.of(left).finished()).isTrue();
        Files.delete(folder.resolve("latents.safetensors"));
        assertThatThrownBy(() -> run(spec, RunMonitor.NONE, Leftovers.KEEP))
                .hasMessageContaining("holds a finished result");
        Failing counting = new Failing(Integer.MAX_VALUE, IllegalStateException::new);
        RunResult moved = run(spec, counting, Leftovers.RESUME);
        assertThat(moved.complete()).isTrue();
        assertThat(counting.seen).isZero();
        Map<String, byte[]> first = files();
        assertThat(first).containsOnlyKeys("run.safetensors", "latents.safetensors");
        RunResult _ = run(spec, RunMonitor.NONE, Leftovers.KEEP);
        first.forEach((name, bytes) -> assertThat(folder.resolve(name)).hasBinaryContent(bytes));
    }
}
