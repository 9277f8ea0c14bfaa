package wan.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.op.WanException;
import wan.pass.Pass;
import wan.run.RunMonitor;
import wan.run.RunSpec;
import wan.run.Wan;

/** Sweeps of a few tiny runs: what is there in the end is what each run alone gives. */
class SweepRunnerTest {
    private static final String BASE =
            "\"base\": {\"video\": {\"latent_height\": 4, \"latent_width\": 4, \"num_frames\": 4},"
                    + " \"sampler\": {\"steps\": [1000, 500], \"num_frame_per_block\": 2, \"independent_first_frame\": false},"
                    + " \"capture\": {\"layers\": [0, 3], \"passes\": \"all\"}, \"output\": {\"complete\": true},"
                    + " \"device\": {\"threads\": 1}}";

    private static final String SWEEP = "{" + BASE + ", \"axes\": [{\"seeds\": \"0-2\"},"
            + " {\"edits\": {\"none\": [], \"cut\": [{\"do\": \"zero\", \"heads\": \"3:5\"}]}}]}";

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    private Path root = Path.of("");

    @BeforeEach
    void name() {
        root = folder.resolve("sweep");
    }

    private Sweep sweep(String json) throws IOException {
        return SweepJson.read(Files.writeString(folder.resolve("sweep.json"), json));
    }

    private SweepRunner.Outcome run(Sweep sweep, Shard shard, int retries, SweepListener listener) {
        return new SweepRunner(SweepFolder.begin(root, sweep), new SweepRunner.Options(shard, retries, null), listener)
                .execute();
    }

    private SweepRunner.Outcome run(Sweep sweep, SweepListener listener) {
        return run(sweep, Shard.WHOLE, 0, listener);
    }

    /** Every file under runs/ that is a result, by its name. */
    private Map<String, byte[]> results() throws IOException {
        Map<String, byte[]> results = new TreeMap<>();
        try (Stream<Path> files = Files.list(root.resolve("runs"))) {
            for (Path file : files.filter(each -> each.toString().endsWith(".safetensors"))
                    .toList()) {
                results.put(file.getFileName().toString(), Files.readAllBytes(file));
            }
        }
        return results;
    }

    /** What extract gives for each run. */
    private Map<String, byte[]> alone(Sweep sweep) throws IOException {
        Map<String, byte[]> results = new TreeMap<>();
        for (SweepRun run : sweep.runs()) {
            Path file = folder.resolve(run.id() + ".safetensors");
            RunSpec.Output output = run.spec().output();
            try (Wan wan = Wan.open(run.spec().model(), RunMonitor.NONE)) {
                assertThat(wan.prepare(
                                        run.spec()
                                                .withOutput(
                                                        new RunSpec.Output(file, null, false, output.complete(), null)),
                                        RunMonitor.NONE)
                                .execute(RunMonitor.NONE)
                                .complete())
                        .isTrue();
            }
            results.put(file.getFileName().toString(), Files.readAllBytes(file));
            Files.delete(file);
        }
        return results;
    }

    private void assertComplete(Sweep sweep) throws IOException {
        Map<String, byte[]> expected = alone(sweep);
        Map<String, byte[]> got = results();
        assertThat(got.keySet()).isEqualTo(expected.keySet());
        got.forEach((name, bytes) -> assertThat(bytes).as(name).isEqualTo(expected.get(name)));
        assertThat(root.resolve("workers")).isEmptyDirectory();
        assertThat(root.resolve("claims")).isEmptyDirectory();
    }

    /** Counts what is computed, and may ask for the end at a pass. */
    private static final class Counting implements SweepListener {
        private final List<String> began = new ArrayList<>();
        private final List<String> failures = new ArrayList<>();
        private int passes;
        private int endAt = Integer.MAX_VALUE;
        private int resumed;

        @Override
        public void runBegan(SweepRun run, int attempt) {
            began.add(run.id());
        }

        @Override
        public void runFailed(SweepRun run, String error, boolean again, Counts counts) {
            failures.add(error);
        }

        @Override
        public void passStarted(Pass pass) {
            passes++;
        }

        @Override
        public void resumed(int passes, String progress) {
            resumed++;
        }

        @Override
        public boolean cancelled() {
            return passes >= endAt;
        }
    }

    @Test
    void results_areThoseOfEachRunAlone_andAreNotComputedAgain() throws IOException {
        Sweep sweep = sweep(SWEEP);
        Counting first = new Counting();
        SweepRunner.Outcome outcome = run(sweep, first);
        assertThat(outcome.counts()).isEqualTo(new SweepListener.Counts(6, 6, 0, 0));
        assertComplete(sweep);
        Counting again = new Counting();
        assertThat(run(sweep, again).counts()).isEqualTo(outcome.counts());
        assertThat(again.began).isEmpty();

        Sweep more = sweep(SWEEP.replace("0-2", "0-3"));
        assertThat(run(more, again).counts().done()).isEqualTo(8);
        assertThat(again.began).hasSize(2);
        assertComplete(more);
        assertThatThrownBy(() -> run(sweep, again))
                .isInstanceOf(WanException.class)
                .hasMessageContaining(
                        "expected this sweep, or one that it adds runs to, got another, with the run seed 3");
    }

    /** Runs that differ in nothing but numbers share a recording; those that are cut have another one. On the emulator, or an SDK's first device. */
    @Test
    void resultsOfADevice_areThoseOfEachRunAlone() throws IOException {
        Sweep sweep = sweep(SWEEP.replace("\"threads\": 1", "\"name\": \"tornado\", \"threads\": 1"));
        assertThat(sweep.base().device().name()).isEqualTo("tornado");
        assertThat(run(sweep, SweepListener.NONE).counts()).isEqualTo(new SweepListener.Counts(6, 6, 0, 0));
        assertComplete(sweep);
    }

    /** 12 passes of a run, two frame blocks: asked for in the middle of the first, the end comes behind it. */
    @Test
    void interrupted_itFinishesTheFrameBlock_andGoesOnThere() throws IOException {
        Sweep sweep = sweep(SWEEP);
        Counting first = new Counting();
        first.endAt = 2;
        SweepRunner.Outcome outcome = run(sweep, first);
        assertThat(outcome.interrupted()).isTrue();
        assertThat(outcome.counts().done()).isZero();
        assertThat(first.passes).isEqualTo(3); // two steps and the context pass
        Counting second = new Counting();
        assertThat(run(sweep, second).counts().done()).isEqualTo(6);
        assertThat(second.resumed).isEqualTo(1);
        assertComplete(sweep);
    }

    @Test
    void shards_shareOut_andWhoIsThroughHelpsTheOthers() throws IOException {
        Sweep sweep = sweep(SWEEP);
        Counting second = new Counting();
        assertThat(run(sweep, new Shard(1, 2), 0, second).counts().done()).isEqualTo(6);
        List<String> order = sweep.runs().stream().map(SweepRun::id).toList();
        assertThat(second.began.subList(0, 3)).isEqualTo(order.subList(3, 6));
        assertThat(second.began.subList(3, 6)).isEqualTo(order.subList(0, 3).reversed());
        assertComplete(sweep);
    }

    @Test
    void shards_mayRunAtOnce_evenTheSameOne() throws IOException {
        Sweep sweep = sweep(SWEEP.replace("0-2", "0-5"));
        List<CompletableFuture<SweepRunner.Outcome>> all = Stream.of(0, 0, 1, 1)
                .map(i -> CompletableFuture.supplyAsync(() -> run(sweep, new Shard(i, 2), 0, SweepListener.NONE)))
                .toList();
        all.forEach(each -> assertThat(each.join().counts().failed()).isZero());
        assertThat(run(sweep, SweepListener.NONE).counts().done()).isEqualTo(12);
        assertComplete(sweep);
    }

    @Test
    void failedRun_isRecorded_triedAgain_andStopsNoOther() throws IOException {
        Path missing = folder.resolve("missing.safetensors");
        Sweep sweep =
                sweep("{" + BASE + ", \"axes\": [{\"points\": [{\"label\": \"good\", \"set\": {\"noise.seed\": 1}},"
                        + " {\"label\": \"poisoned\", \"set\": {\"prompt.embeddings\": \"" + missing + "\"}},"
                        + " {\"label\": \"fine\", \"set\": {\"noise.seed\": 2}}]}]}");
        Counting listener = new Counting();
        SweepRunner.Outcome outcome = run(sweep, Shard.WHOLE, 2, listener);
        assertThat(outcome.counts()).isEqualTo(new SweepListener.Counts(3, 2, 1, 0));
        assertThat(listener.failures).hasSize(3).allMatch(error -> error.contains("missing.safetensors"));
        String id = sweep.runs().get(1).id();
        assertThat(root.resolve("runs").resolve(id + ".json"))
                .content()
                .contains("\"state\":\"failed\"", "\"attempts\":3", "missing.safetensors");

        Counting again = new Counting();
        assertThat(run(sweep, Shard.WHOLE, 2, again).counts().failed()).isEqualTo(1);
        assertThat(again.began).isEmpty();
        assertThat(run(sweep, Shard.WHOLE, 3, again).counts().failed()).isEqualTo(1);
        assertThat(again.began).containsExactly(id);
    }

    @Test
    void modelThatCannotBeOpenedHere_isNoFailureOfItsRuns() throws IOException {
        Sweep sweep = sweep("{" + BASE + ", \"axes\": [{\"field\": \"model.path\", \"values\": [\""
                + folder.resolve("no") + "\", null]}]}");
        SweepRunner.Outcome outcome = run(sweep, SweepListener.NONE);
        assertThat(outcome.counts()).isEqualTo(new SweepListener.Counts(2, 1, 0, 1));
        assertThat(outcome.problems()).hasSize(1).first().asString().contains(folder.resolve("no") + "");
    }

    @Test
    void begin_refusesAFolderOfOtherThings() throws IOException {
        Files.createDirectory(root);
        Files.writeString(root.resolve("thesis.tex"), "x");
        Sweep sweep = sweep(SWEEP);
        assertThatThrownBy(() -> SweepFolder.begin(root, sweep))
                .isInstanceOf(WanException.class)
                .hasMessageContaining("expected an empty folder or that of this sweep, got other files");
        assertThatThrownBy(() -> SweepFolder.open(root))
                .isInstanceOf(WanException.class)
                .hasMessageContaining("expected the folder of a sweep");
    }
}
