package wan.app.command;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import wan.app.CommandLineRun;
import wan.file.Safetensors;
import wan.sweep.DuckDb;

/** Sweeps of edits through the command line. */
class AblateCommandTest {
    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    private CommandLineRun ablate(Object... more) {
        List<Object> words = new ArrayList<>(List.of(
                "ablate",
                "--latent-size",
                "4x4",
                "--num-frames",
                "5",
                "--num-frame-per-block",
                "2",
                "--steps",
                "1000,500"));
        words.addAll(Arrays.asList(more));
        return CommandLineRun.of(words.toArray());
    }

    private JsonNode json(String name) throws IOException {
        return JsonMapper.shared().readTree(Files.readString(folder.resolve(name)));
    }

    /** Without what the clock decides, and what is shared. */
    private static List<String> numbers(JsonNode file) {
        List<String> all = new ArrayList<>();
        for (JsonNode edit : file.get("edits")) {
            all.add(edit.get("name") + " " + edit.get("latents") + edit.get("frames")
                    + edit.get("watched_frame_logits"));
        }
        return all;
    }

    @ParameterizedTest
    @ValueSource(strings = {"jvm", "tornado"})
    void ablate_givesTheNumbersOfWholeRuns_onEveryBackend(String device) throws IOException {
        String[] options = {
            "--device", device, "--heads", "1:0,4:0-1", "--in-pass", "block1.ctx,block1.step1", "--watch", "5:0", "-q"
        };
        List<Object> shared = new ArrayList<>(Arrays.asList(options));
        shared.addAll(List.of("-o", folder.resolve("shared.json")));
        assertThat(ablate(shared.toArray())).returns(0, CommandLineRun::exitCode);
        List<Object> whole = new ArrayList<>(Arrays.asList(options));
        whole.addAll(List.of("--whole", "-o", folder.resolve("whole.json")));
        assertThat(ablate(whole.toArray())).returns(0, CommandLineRun::exitCode);
        assertThat(numbers(json("shared.json"))).hasSize(3).isEqualTo(numbers(json("whole.json")));
        JsonNode edit = json("shared.json").at("/edits/1");
        assertThat(edit.get("from").asString()).isEqualTo("block1.step1.layer4");
        assertThat(edit.get("computed").asDouble()).isLessThan(0.6);
        assertThat(edit.at("/latents/relative_l2").asDouble()).isPositive();
    }

    /** The same as a run with that edit beside one without. */
    @Test
    void ablate_measuresWhatExtractWrites() throws IOException {
        Path plain = folder.resolve("plain.safetensors");
        Path edited = folder.resolve("edited.safetensors");
        for (List<Object> more : List.<List<Object>>of(List.of(plain), List.of(edited, "--temperature", "2:3=0.25"))) {
            List<Object> words = new ArrayList<>(List.of(
                    "extract",
                    "--latent-size",
                    "4x4",
                    "--num-frames",
                    "5",
                    "--num-frame-per-block",
                    "2",
                    "--steps",
                    "1000,500",
                    "-q",
                    "-o",
                    folder.resolve("result.safetensors"),
                    "--save-latents"));
            words.addAll(more);
            assertThat(CommandLineRun.of(words.toArray())).returns(0, CommandLineRun::exitCode);
        }
        CommandLineRun run =
                ablate("--heads", "2:3", "--do", "temperature=0.25", "-o", folder.resolve("one.json"), "-q");
        assertThat(run.exitCode()).as(run.err()).isZero();
        double squared = 0;
        double norm = 0;
        try (Safetensors a = Safetensors.open(plain);
                Safetensors b = Safetensors.open(edited)) {
            float[] x = a.tensor("output").toFloats();
            float[] y = b.tensor("output").toFloats();
            for (int i = 0; i < x.length; i++) {
                squared += ((double) x[i] - y[i]) * ((double) x[i] - y[i]);
                norm += (double) x[i] * x[i];
            }
        }
        assertThat(json("one.json").at("/edits/0/latents/relative_l2").asDouble())
                .isPositive()
                .isCloseTo(Math.sqrt(squared / norm), org.assertj.core.data.Percentage.withPercentage(1e-9));
    }

    @Test
    void ablate_writesTablesFiguresAndPage() throws Exception {
        CommandLineRun run = ablate(
                "--heads",
                "0-1:0-2",
                "--by",
                "head",
                "--policy",
                "infinity-rope",
                "-o",
                folder.resolve("all.json"),
                "--csv",
                folder.resolve("all.csv"),
                "--parquet",
                folder.resolve("all.parquet"),
                "--figure",
                folder.resolve("heads.png"),
                "--drift",
                folder.resolve("drift.svg"),
                "--report",
                folder.resolve("page.html"));
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out().lines()).hasSize(1 + 7 + 2);
        List<String> rows = Files.readAllLines(folder.resolve("all.csv"));
        assertThat(rows).hasSize(8);
        assertThat(rows.getFirst()).endsWith(",frame_0,frame_1,frame_2,frame_3,frame_4");
        assertThat(rows.get(4)).startsWith("1:0,1,0,block0.step0.layer1,");
        assertThat(rows.getLast()).startsWith("infinity-rope,,,the start,1.0,");
        try (DuckDb database = DuckDb.open();
                Statement statement = database.connection().createStatement();
                ResultSet row = statement.executeQuery(
                        "SELECT count(*), sum(layer), max(frame_4) FROM '" + folder.resolve("all.parquet") + "'")) {
            assertThat(row.next()).isTrue();
            assertThat(row.getInt(1)).isEqualTo(7);
            assertThat(row.getInt(2)).isEqualTo(3);
            double most = rows.stream()
                    .skip(1)
                    .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(',') + 1)))
                    .max()
                    .orElseThrow();
            assertThat(row.getDouble(3)).isEqualTo(most);
        }
        assertThat(ImageIO.read(folder.resolve("heads.png").toFile()).getWidth())
                .isGreaterThan(1000);
        assertThat(Files.readString(folder.resolve("drift.svg"))).contains("<svg", "infinity-rope");
        String page = Files.readString(folder.resolve("page.html"));
        assertThat(page)
                .contains(
                        "data:image/svg+xml;base64,",
                        "Every edit",
                        "infinity-rope",
                        "\"num_frames\"".replace("\"", "&quot;"));
        assertThat(page).doesNotContain("http://", "<script");
    }

    @Test
    void ablate_goesOnWithWhatIsLeft() throws IOException {
        Object[] same = {"--heads", "0:0-3", "-q", "-o", folder.resolve("x.json")};
        assertThat(ablate(same)).returns(0, CommandLineRun::exitCode);
        String whole = Files.readString(folder.resolve("x.json"));
        ObjectNode partial = (ObjectNode) JsonMapper.shared().readTree(whole);
        partial.put("complete", false);
        ArrayNode edits = (ArrayNode) partial.get("edits");
        edits.remove(3);
        edits.remove(1);
        ((ObjectNode) edits.get(0)).put("seconds", 12345.5);
        Files.writeString(folder.resolve("x.json.partial"), partial.toString());
        CommandLineRun asks = ablate(same);
        assertThat(asks.exitCode()).isEqualTo(1);
        assertThat(asks.err()).contains("--resume", "--restart");
        List<Object> resumed = new ArrayList<>(Arrays.asList(same));
        resumed.add("--resume");
        assertThat(ablate(resumed.toArray())).returns(0, CommandLineRun::exitCode);
        JsonNode again = json("x.json");
        assertThat(again.get("complete").asBoolean()).isTrue();
        assertThat(again.at("/edits/0/seconds").asDouble()).isEqualTo(12345.5);
        assertThat(numbers(again)).isEqualTo(numbers(JsonMapper.shared().readTree(whole)));
        assertThat(folder.resolve("x.json.partial")).doesNotExist();
        Files.writeString(folder.resolve("x.json.partial"), partial.toString());
        resumed.addAll(List.of("--seed", "7"));
        CommandLineRun other = ablate(resumed.toArray());
        assertThat(other.exitCode()).isEqualTo(1);
        assertThat(other.err()).contains("belongs to a different run").doesNotContain("\tat ");
    }

    @Test
    void ablate_editsMoreAndMoreHeads_inTheOrderOfEarlierEffects() throws IOException {
        assertThat(ablate("--heads", "0-1:0-3", "-q", "-o", folder.resolve("single.json")))
                .returns(0, CommandLineRun::exitCode);
        CommandLineRun run = ablate(
                "--order",
                folder.resolve("single.json"),
                "--counts",
                "1,3,8",
                "-o",
                folder.resolve("curve.json"),
                "--figure",
                folder.resolve("curve.svg"));
        assertThat(run.exitCode()).as(run.err()).isZero();
        JsonNode curve = json("curve.json");
        List<Double> effects = new ArrayList<>();
        curve.get("edits")
                .forEach(edit -> effects.add(edit.at("/latents/relative_l2").asDouble()));
        double least = Double.POSITIVE_INFINITY;
        for (JsonNode edit : json("single.json").get("edits")) {
            least = Math.min(least, edit.at("/latents/relative_l2").asDouble());
        }
        assertThat(effects).hasSize(3);
        assertThat(effects.getFirst()).isEqualTo(least);
        assertThat(effects.get(2)).isGreaterThan(effects.get(0));
        assertThat(curve.at("/edits/2/rules/0/heads").asString()).isEqualTo("0:0,1,2,3,1:0,1,2,3");
        assertThat(Files.readString(folder.resolve("curve.svg"))).contains("heads edited");
    }

    @Test
    void ablate_takesTheOrderOfAMeasure() {
        Path result = folder.resolve("result.safetensors");
        assertThat(CommandLineRun.of(
                        "extract",
                        "--latent-size",
                        "4x4",
                        "--num-frames",
                        "5",
                        "--num-frame-per-block",
                        "2",
                        "--steps",
                        "1000,500",
                        "--layer",
                        "0-1",
                        "--what",
                        "frame-logits",
                        "-q",
                        "-o",
                        result))
                .returns(0, CommandLineRun::exitCode);
        CommandLineRun run = ablate("--order", result, "--dry-run");
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out()).contains("1 head: from", "24 heads: from", "6 edits: ");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--do nothing",
                "--do scale",
                "--do zero=1",
                "--do keep=1",
                "--heads 99:0",
                "--by token",
                "--in-pass block",
                "--policy unknown",
                "--figure x.jpg",
                "--resume --restart",
                "--watch 0:99",
                "--edit missing.json"
            })
    void ablate_refusesWhatIsWrong_inOneLine(String options) {
        List<Object> words = new ArrayList<>(List.of("-o", folder.resolve("no.json"), "-q"));
        words.addAll(Arrays.asList(options.split(" ", -1)));
        CommandLineRun run = ablate(words.toArray());
        assertThat(run.exitCode()).as(run.err()).isEqualTo(2);
        assertThat(run.err().strip().lines()).hasSize(1);
        assertThat(folder.resolve("no.json")).doesNotExist();
    }
}
