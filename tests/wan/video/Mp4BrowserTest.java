package wan.video;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.openqa.selenium.chrome.ChromeDriver;
import wan.app.Browser;
import wan.op.HostTensor;
import wan.op.Shape;

/** An MP4 of this program in a browser: it plays, with the size, the length and the colours that were written. */
class Mp4BrowserTest {
    private static final int ROWS = 48;
    private static final int COLUMNS = 80;
    private static final int FRAMES = 17;

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit sets it
    Path dir;

    /** One colour, which changes in the middle of the video: red, then blue. */
    private static HostTensor frame(int i) {
        float[] values = new float[3 * ROWS * COLUMNS];
        Arrays.fill(values, -0.6f);
        int channel = i < FRAMES / 2 ? 0 : 2;
        Arrays.fill(values, channel * ROWS * COLUMNS, (channel + 1) * ROWS * COLUMNS, 0.6f);
        return new HostTensor(Shape.of(3, ROWS, COLUMNS), values);
    }

    @Test
    void video_plays_inChromium() throws Exception {
        Path file = dir.resolve("video.mp4");
        try (VideoSink sink = VideoSink.open(file, FRAMES, VideoSink.FRAMES_PER_SECOND)) {
            for (int i = 0; i < FRAMES; i++) {
                sink.frame(frame(i));
            }
            sink.finish();
        }
        // In the page itself, since a browser does not let a page read the pixels of another file.
        Path page = dir.resolve("page.html");
        String data = Base64.getEncoder().encodeToString(Files.readAllBytes(file));
        Files.writeString(page, "<!doctype html><video muted src=\"data:video/mp4;base64," + data + "\"></video>");
        ChromeDriver browser = Browser.open(dir);
        try {
            browser.get(page.toUri().toString());
            List<?> told = (List<?>) browser.executeAsyncScript("""
                    const done = arguments[0], video = document.querySelector("video"), canvas = document.createElement("canvas");
                    // A seek ends before its frame can be drawn: only the frame's own callback says that it is there.
                    const seen = at => new Promise((good, bad) => {
                      const draw = (now, frame) => {
                        if (Math.abs(frame.mediaTime - at) > 0.1) {
                          video.requestVideoFrameCallback(draw);
                          return;
                        }
                        canvas.width = video.videoWidth;
                        canvas.height = video.videoHeight;
                        const paper = canvas.getContext("2d");
                        paper.drawImage(video, 0, 0);
                        good([...paper.getImageData(video.videoWidth / 2, video.videoHeight / 2, 1, 1).data].slice(0, 3));
                      };
                      video.onerror = () => bad(new Error(video.error.message));
                      video.requestVideoFrameCallback(draw);
                      video.currentTime = at;
                    });
                    (async () => {
                      const first = await seen(0.1), last = await seen(0.9);
                      video.currentTime = 0;
                      await video.play();
                      await new Promise(good => { video.onended = good; });
                      done([video.videoWidth, video.videoHeight, video.duration, video.ended, ...first, ...last]);
                    })().catch(e => done([String(e)]));
                    """);
            assertThat(told).as(told.toString()).hasSize(10);
            assertThat(told.subList(0, 2)).isEqualTo(List.of((long) COLUMNS, (long) ROWS));
            assertThat(((Number) told.get(2)).doubleValue())
                    .isCloseTo((double) FRAMES / VideoSink.FRAMES_PER_SECOND, within(0.02));
            assertThat(told.get(3)).isEqualTo(true);
            assertColour(told.subList(4, 7), 204, 51, 51);
            assertColour(told.subList(7, 10), 51, 51, 204);
        } finally {
            browser.quit();
        }
    }

    private static void assertColour(List<?> actual, int... expected) {
        for (int i = 0; i < 3; i++) {
            assertThat(((Number) actual.get(i)).doubleValue())
                    .as(actual.toString())
                    .isCloseTo(expected[i], within(8.0));
        }
    }
}
