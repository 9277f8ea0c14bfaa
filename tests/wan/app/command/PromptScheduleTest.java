package wan.app.command;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import wan.app.CommandLineRun;

/** Prompts that change while the video goes on. */
class PromptScheduleTest {
    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path folder;

    private static CommandLineRun extract(Object... words) {
        List<Object> all = new ArrayList<>(List.of("extract", "--num-frames", "9", "--no-independent-first-frame"));
        all.addAll(List.of(words));
        return CommandLineRun.of(all.toArray());
    }

    private static JsonNode spec(CommandLineRun run) {
        assertThat(run.exitCode()).as(run.err()).isZero();
        return JsonMapper.shared().readTree(run.out());
    }

    @Test
    void schedule_isTheSame_fromAFileOrFromOptions() throws IOException {
        Path schedule = Files.writeString(folder.resolve("schedule.txt"), "6 = a dog = an animal\n\n3=a cat\n");
        JsonNode file = spec(extract("--print-spec", "--prompt", "a bird", "--prompt-schedule", schedule));
        JsonNode options = spec(extract(
                "--print-spec", "--prompt", "a bird", "--prompt-at", "3=a cat", "--prompt-at", "6=a dog = an animal"));
        assertThat(file).isEqualTo(options);
        assertThat(file.get("prompt").get("later").toString()).isEqualTo("[\"a cat\",\"a dog = an animal\"]");
    }

    @Test
    void aPrompt_isFadedIn_whereKeysAreRecomputed() {
        JsonNode method = spec(extract(
                        "--print-spec",
                        "--preset",
                        "krea-realtime-14b",
                        "--prompt",
                        "a bird",
                        "--prompt-at",
                        "5=a cat",
                        "--interpolation-steps",
                        "2"))
                .get("sampler")
                .get("method");
        assertThat(method.get("prompt_change_block").asInt()).isEqualTo(2);
        assertThat(method.get("interpolation_steps").asInt()).isEqualTo(2);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "three=a cat | expected lines FRAME=TEXT, each frame once, got \"three=a cat\"",
                "3= | expected lines FRAME=TEXT",
                "3=a;3=b | each frame once"
            })
    void aScheduleThatIsNone_isRefused(String text, String expected) throws IOException {
        Path schedule = Files.writeString(folder.resolve("bad.txt"), text.replace(';', '\n'));
        CommandLineRun run = extract("--prompt", "a bird", "--prompt-schedule", schedule, "--dry-run");
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains(expected);
    }

    @Test
    void otherSamplers_takeNoSchedule() {
        CommandLineRun run = extract("--sampler", "unipc", "--prompt", "a", "--prompt-at", "3=b", "--dry-run");
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains("--prompt-at: expected --sampler few-step with it");
    }
}
