package wan.run;

import static org.assertj.core.api.Assertions.assertThat;

import capture.Indices;
import capture.PassChoice;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.Fuzz;
import wan.op.AttentionKind;
import wan.op.DType;
import wan.op.Quantity;
import wan.op.WanException;
import wan.pass.Pass;
import wan.sampling.Method;

/** What a run has left is damaged: it is read or refused, and a run that goes on with it gives the right bytes or none. */
@Tag("slow")
class DamagedStateTest {
    private static final int READ = 2000;
    private static final int RESUMED = 80;

    @TempDir
    Path folder;

    private Path result = Path.of("");
    private Path partial = Path.of("");
    private final SortedMap<String, byte[]> sound = new TreeMap<>();
    private byte[] whole = {};

    private RunSpec spec() {
        return RunSpec.of(RunSpec.Model.DEMO)
                .withVideo(new RunSpec.Video(2, 2, 4, null))
                .withSampler(new RunSpec.Sampler(List.of(1000f, 500f), 5, true, 0, 1, true, Method.SELF_FORCING))
                .withCapture(new RunSpec.Captures(
                        Indices.of(0),
                        Indices.of(1, 3),
                        EnumSet.of(AttentionKind.SELF),
                        PassChoice.parse("all"),
                        EnumSet.of(Quantity.FRAME_LOGITS),
                        Set.of(),
                        false))
                .withDevice(new RunSpec.Device("jvm", DType.F32, DType.F32, "auto", "auto", 0, 1))
                .withOutput(new RunSpec.Output(result, null, false, true, null));
    }

    @BeforeEach
    void stopARun() throws IOException {
        result = folder.resolve("run.safetensors");
        partial = folder.resolve("run.safetensors.partial");
        try (Wan wan = Wan.demo()) {
            RunResult _ = wan.prepare(spec(), RunMonitor.NONE).execute(RunMonitor.NONE);
            whole = Files.readAllBytes(result);
            Files.delete(result);
            RunMonitor stops = new RunMonitor() {
                private boolean late;

                @Override
                public void passStarted(Pass pass) {
                    late = pass.id().frameBlock() == 3;
                }

                @Override
                public boolean cancelled() {
                    return late;
                }
            };
            RunResult _ = wan.prepare(spec(), stops).execute(stops);
        }
        for (String name : new String[] {"journal", "captures", "state"}) {
            sound.put(name, Files.readAllBytes(partial.resolve(name)));
        }
    }

    private byte[] bytes(String name) {
        return Objects.requireNonNull(sound.get(name));
    }

    private void put(String damaged, byte[] bytes) throws IOException {
        Files.createDirectories(partial);
        for (String name : sound.keySet()) {
            Files.write(partial.resolve(name), name.equals(damaged) ? bytes : bytes(name));
        }
    }

    /** A journal with a damaged line whose checksum is right. */
    private byte[] forged(Fuzz fuzz, Random random) {
        String[] lines = new String(bytes("journal"), StandardCharsets.UTF_8).split("\n", -1);
        StringBuilder journal = new StringBuilder();
        int which = random.nextInt(lines.length - 1);
        for (int i = 0; i < lines.length - 1; i++) {
            String line = lines[i];
            if (i == which) {
                String json = new String(
                                fuzz.damage(line.substring(9).getBytes(StandardCharsets.UTF_8)), StandardCharsets.UTF_8)
                        .replace('\n', ' ');
                CRC32C crc = new CRC32C();
                crc.update(json.getBytes(StandardCharsets.UTF_8));
                line = HexFormat.of().toHexDigits((int) crc.getValue()) + " " + json;
            }
            journal.append(line).append('\n');
        }
        return journal.toString().getBytes(StandardCharsets.UTF_8);
    }

    @Test
    void state_isReadOrRefused() throws IOException {
        Random random = new Random(1);
        Fuzz fuzz = new Fuzz(1);
        int taken = 0;
        for (int i = 0; i < READ; i++) {
            byte[] journal = i % 3 == 0 ? fuzz.damage(bytes("journal")) : forged(fuzz, random);
            Files.write(partial.resolve("journal"), journal);
            taken += Fuzz.takes(
                            journal,
                            _ -> assertThat(PartialSummary.of(partial).allPasses())
                                    .isNotNegative())
                    ? 1
                    : 0;
        }
        assertThat(taken).isBetween(1, READ - 1);
    }

    @Test
    void resume_givesTheSameBytesOrNone() throws IOException {
        Random random = new Random(2);
        Fuzz fuzz = new Fuzz(2);
        List<String> files = List.copyOf(sound.keySet());
        int resumed = 0;
        try (Wan wan = Wan.demo()) {
            Job job = wan.prepare(spec(), RunMonitor.NONE);
            for (int i = 0; i < RESUMED; i++) {
                String file = files.get(random.nextInt(files.size()));
                put(file, fuzz.damage(bytes(file)));
                try {
                    RunResult _ = job.execute(RunMonitor.NONE, Leftovers.RESUME);
                    assertThat(result).hasBinaryContent(whole);
                    assertThat(partial).doesNotExist();
                    Files.delete(result);
                    resumed++;
                } catch (WanException e) {
                    assertThat(e).hasMessageContaining(partial.toString());
                    assertThat(result).doesNotExist();
                }
            }
        }
        assertThat(resumed).isPositive();
    }
}
