package capture.figures;

import static org.assertj.core.api.Assertions.assertThat;

import capture.analysis.Analysis;
import capture.analysis.FrameMaps;
import capture.analysis.Measure;
import capture.analysis.MeasureOptions;
import capture.analysis.ResultFiles;
import capture.analysis.RoleOptions;
import capture.analysis.SavedResult;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.op.Quantity;

class ReportTest {
    private static final String EVIL = "</script><script>alert(1)</script><!-- \u2028 & \"quoted\"";

    @TempDir
    Path dir;

    private static String page(SavedResult... results) {
        return new String(
                Report.write(List.of(results), MeasureOptions.DEFAULT, RoleOptions.DEFAULT, "1.0"),
                StandardCharsets.UTF_8);
    }

    private static String between(String text, String from, String to) {
        Matcher matcher = Pattern.compile(Pattern.quote(from) + "(.*?)" + Pattern.quote(to), Pattern.DOTALL)
                .matcher(text);
        assertThat(matcher.find()).as(from).isTrue();
        return matcher.group(1);
    }

    @Test
    void policy_allowsItsOwnScriptAndStyleOnly() throws Exception {
        try (SavedResult run = SavedResult.open(ResultFiles.made(dir.resolve("a.safetensors"), 1, 2, 2, 1, 1, "x"))) {
            String page = page(run);
            String policy = between(page, "Content-Security-Policy\" content=\"", "\"");
            assertThat(policy).startsWith("default-src 'none'; ");
            for (String kind : List.of("script", "style")) {
                String content = between(page, "<" + kind + ">", "</" + kind + ">");
                byte[] digest = MessageDigest.getInstance("SHA-256").digest(content.getBytes(StandardCharsets.UTF_8));
                assertThat(policy)
                        .contains(kind + "-src 'sha256-" + Base64.getEncoder().encodeToString(digest) + "'");
            }
            assertThat(page.replace("http://www.w3.org/2000/svg", "")).doesNotContain("http:", "https:", "//cdn");
            assertThat(page).doesNotContain("{{").doesNotContainPattern("<(link|img|iframe|object)\\b");
        }
    }

    @Test
    void names_cannotEndTheirElement() {
        Path file = ResultFiles.made(dir.resolve("a<b>&.safetensors"), 1, 2, 2, 1, 1, EVIL);
        try (SavedResult run = SavedResult.open(file)) {
            String page = page(run);
            assertThat(page).doesNotContain("alert(1)</script>", "<b>&.").contains("a&lt;b&gt;&amp;");
            JsonNode data = JsonMapper.shared()
                    .readTree(between(page, "<script type=\"application/json\" id=\"data\">", "</script>"));
            assertThat(data.get("runs").get(0).get("metadata").toString())
                    .contains(JsonMapper.shared().writeValueAsString(EVIL));
        }
    }

    @Test
    void numbers_areThoseOfTheResult() {
        try (SavedResult run = SavedResult.open(ResultFiles.made(dir.resolve("a.safetensors"), 2, 3, 3, 2, 9, "x"))) {
            RunBlob blob = RunBlob.of(run, MeasureOptions.DEFAULT, RoleOptions.DEFAULT, RunBlob.Room.ALL);
            ByteBuffer bytes = ByteBuffer.wrap(blob.bytes()).order(ByteOrder.LITTLE_ENDIAN);
            JsonNode at = blob.description().get("at");
            // Measures: slot 1, frame block 2, entropy, layer 1, head 2.
            Analysis analysis = Analysis.of(run, run.slot("1"), run.frameBlock("2"), MeasureOptions.DEFAULT);
            int heads = 2 * 3;
            int index = ((1 * 3 + 2) * Measure.values().length
                                    + List.of(Measure.values()).indexOf(Measure.ENTROPY))
                            * heads
                    + 5;
            assertThat(bytes.getFloat(at.get("measures").asInt() + 4 * index))
                    .isEqualTo((float) analysis.measure(Measure.ENTROPY)[5]);
            // Frame mass of layer 1, head 2, the last pass's first query.
            int cells = 0;
            for (JsonNode pass : blob.description().get("passes")) {
                cells += pass.get("frames").asInt() * keys(pass);
            }
            FrameMaps maps = run.maps(Quantity.FRAME_MASS, 1, run.slot("context"));
            int from = at.get("frame_mass").asInt() + 2 * (6 * cells - 3 * 7);
            for (int k = 0; k < 7; k++) {
                float value = Float.float16ToFloat(bytes.getShort(from + 2 * k));
                assertThat(value).isEqualTo(Float.float16ToFloat(Float.floatToFloat16(maps.get(2, 4, k))));
            }
        }
    }

    @Test
    void page_ofAFullSizeRun_staysUnderTenMegabytes() {
        // 30 layers, 12 heads, 8 frame blocks of 22 frames, 5 passes each.
        try (SavedResult run = SavedResult.open(ResultFiles.made(dir.resolve("a.safetensors"), 30, 12, 8, 4, 1, "x"))) {
            assertThat(page(run).length()).isBetween(4_000_000, 10_000_000);
        }
    }

    /** Of runs, the first frame and the length in turn. */
    private static int keys(JsonNode band) {
        int count = 0;
        for (int i = 1; i < band.get("keys").size(); i += 2) {
            count += band.get("keys").get(i).asInt();
        }
        return count;
    }

    @Test
    void longRuns_areAveragedAndSampled_untilTheyFit() {
        try (SavedResult run = SavedResult.open(ResultFiles.made(dir.resolve("a.safetensors"), 2, 3, 12, 2, 9, "x"))) {
            RunBlob.Room small = new RunBlob.Room(2 * 6 * 2 * 3 * 120, 5_000, 1);
            RunBlob blob = RunBlob.of(run, MeasureOptions.DEFAULT, RoleOptions.DEFAULT, small);
            JsonNode told = blob.description();
            int step = told.get("framePool").asInt();
            assertThat(step).isGreaterThan(1);
            assertThat(told.get("allBlocks").asInt()).isEqualTo(12);
            assertThat(told.get("blocks").size()).isBetween(2, 11);
            FrameMaps maps = run.maps(Quantity.FRAME_MASS, 1, run.slot("context"));
            assertThat(told.get("blocks")
                            .get(told.get("blocks").size() - 1)
                            .get("first")
                            .asInt())
                    .isEqualTo(run.info().frameBlocks().getLast().first());
            // The last row of the last slot, layer 1, head 2: the mean over what was attended in the last square.
            int cells = 0;
            for (JsonNode band : told.get("bands")) {
                cells += band.get("frames").asInt() * keys(band);
            }
            assertThat(2L * 6 * 2 * cells).isLessThanOrEqualTo(small.frameValues());
            int at = told.get("at").get("frame_mass").asInt() + 2 * (6 * cells - 1);
            float value = Float.float16ToFloat(
                    ByteBuffer.wrap(blob.bytes()).order(ByteOrder.LITTLE_ENDIAN).getShort(at));
            int from = (maps.frames() - 1) / step * step;
            double sum = 0;
            int count = 0;
            for (int q = from; q < maps.frames(); q++) {
                for (int k = from; k < maps.frames(); k++) {
                    if (maps.attended(q, k)) {
                        sum += maps.get(2, q, k);
                        count++;
                    }
                }
            }
            assertThat(value).isEqualTo(Float.float16ToFloat(Float.floatToFloat16((float) (sum / count))));
        }
    }

    @Test
    void tokens_arePooled_whenThereIsNoRoom() {
        try (SavedResult run = SavedResult.open(ResultFiles.made(dir.resolve("a.safetensors"), 2, 3, 3, 2, 9, "x"))) {
            RunBlob blob = RunBlob.of(
                    run,
                    MeasureOptions.DEFAULT,
                    RoleOptions.DEFAULT,
                    new RunBlob.Room(1 << 20, 1 << 20, 2 * 3 * 7 * 2));
            assertThat(blob.description().get("pooled").asInt()).isEqualTo(2);
            assertThat(blob.description().get("tokenRows").asInt()).isEqualTo(1);
            assertThat(blob.description().get("tokenCols").asInt()).isEqualTo(2);
            assertThat(blob.description().get("tokens")).hasSize(1);
        }
    }
}
