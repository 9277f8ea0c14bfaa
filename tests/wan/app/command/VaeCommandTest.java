package wan.app.command;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.UnaryOperator;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.app.CommandLineRun;
import wan.file.SafetensorsWriter;
import wan.file.TensorStore;
import wan.file.TorchWriter;
import wan.op.DType;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.TensorView;
import wan.vae.VaeGolden;
import wan.video.VideoSource;

/** {@code decode} and {@code encode} on the small VAE of the goldens. */
class VaeCommandTest {
    private final VaeGolden golden = new VaeGolden();

    @TempDir
    Path folder;

    private Path vae;
    private Path latents;

    @BeforeEach
    void write() {
        vae = folder.resolve("Wan2.1_VAE.pth");
        TensorStore weights = golden.weights(UnaryOperator.identity());
        SequencedMap<String, TensorView> tensors = new LinkedHashMap<>();
        weights.names().stream().sorted().forEach(name -> tensors.put(name, weights.tensor(name)));
        TorchWriter.write(vae, tensors);
        latents = folder.resolve("latents.safetensors");
        write(latents, "latent", golden.get("decode/latent"));
    }

    @AfterEach
    void close() {
        golden.close();
    }

    private static void write(Path file, String name, HostTensor tensor) {
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, 1024)) {
            writer.add(name, DType.F32, tensor.shape()).write(tensor.values());
            writer.finish(Map.of());
        }
    }

    private static float[] read(Path file, String name) {
        try (TensorStore store = TensorStore.open(file)) {
            return store.tensor(name).toFloats();
        }
    }

    /** [channels, frames, ...] as [frames, channels, ...]. */
    private static float[] framesFirst(HostTensor tensor) {
        List<float[]> frames = new ArrayList<>();
        int size = 0;
        for (int i = 0; i < tensor.shape().dim(1); i++) {
            frames.add(VaeGolden.frame(tensor, i).values());
            size += frames.getLast().length;
        }
        float[] out = new float[size];
        int at = 0;
        for (float[] frame : frames) {
            System.arraycopy(frame, 0, out, at, frame.length);
            at += frame.length;
        }
        return out;
    }

    private static void assertClose(float[] actual, float[] expected, double tolerance) {
        assertThat(actual).hasSameSizeAs(expected);
        for (int i = 0; i < actual.length; i++) {
            assertThat((double) actual[i]).as("value %d", i).isCloseTo(expected[i], within(tolerance));
        }
    }

    private CommandLineRun decode(Path out) {
        CommandLineRun run = CommandLineRun.of("decode", latents, "--vae", vae, "--out", out);
        assertThat(run.exitCode()).as(run.err()).isZero();
        return run;
    }

    @Test
    void decode_givesTheReferencesVideo_asTensor() {
        Path out = folder.resolve("video.safetensors");
        assertThat(decode(out).out()).contains("13 frames of 40 x 24, 0.8 s at 16 frames per second");
        assertClose(read(out, "video"), framesFirst(golden.get("decode/video_raw")), VaeGolden.TOLERANCE);
    }

    @Test
    void encode_givesTheReferencesLatents_whichARunCanGoOnFrom() {
        Path video = folder.resolve("clip.safetensors");
        HostTensor frames = golden.get("encode/video");
        Shape shape = frames.shape();
        write(
                video,
                "video",
                new HostTensor(Shape.of(shape.dim(1), 3, shape.dim(2), shape.dim(3)), framesFirst(frames)));
        Path out = folder.resolve("latent.safetensors");
        CommandLineRun run = CommandLineRun.of("encode", video, "--vae", vae, "--out", out);
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out()).contains("3 latent frames [16, 2, 3] of 9 frames, encoded");
        assertClose(read(out, "initial_latent"), framesFirst(golden.get("encode/latent")), VaeGolden.TOLERANCE);

        run = CommandLineRun.of("encode", video, "--vae", vae, "--frames", "7", "--out", out);
        assertThat(run.out()).contains("2 latent frames [16, 2, 3] of 5 frames (the last 2 do not complete four)");
        run = CommandLineRun.of("decode", out, "--vae", vae, "--out", folder.resolve("again.safetensors"));
        assertThat(run.out()).contains("5 frames of 24 x 16");
    }

    @Test
    void decode_writesPictures_thatEncodeReads() throws IOException {
        Path out = folder.resolve("frames");
        decode(out);
        try (var files = Files.list(out)) {
            assertThat(files.map(file -> file.getFileName().toString()).sorted())
                    .hasSize(13)
                    .startsWith("0000.png", "0001.png")
                    .endsWith("0012.png");
        }
        BufferedImage image = ImageIO.read(out.resolve("0003.png").toFile());
        float[] frame = VaeGolden.frame(golden.get("decode/video_raw"), 3).values();
        int rgb = image.getRGB(7, 5);
        for (int colour = 0; colour < 3; colour++) {
            double expected = Math.clamp(0.5 * frame[(colour * 24 + 5) * 40 + 7] + 0.5, 0, 1) * 255;
            assertThat((double) (rgb >> (16 - 8 * colour) & 0xff)).isCloseTo(expected, within(0.51));
        }
        Path latent = folder.resolve("latent.safetensors");
        CommandLineRun run = CommandLineRun.of("encode", out, "--vae", vae, "--out", latent);
        assertThat(run.out()).contains("4 latent frames [16, 3, 5] of 13 frames, encoded");
    }

    @Test
    void decode_writesMp4_thatIsTheFramesAgain() throws IOException, InterruptedException {
        Path out = folder.resolve("video.mp4");
        // Smooth frames: colours of single pixels, which 4:2:0 has not, say nothing about the file.
        Path smooth = folder.resolve("smooth.safetensors");
        float[] flat = new float[16 * 2 * 4 * 6];
        for (int i = 0; i < flat.length; i++) {
            flat[i] = 0.2f * ((i / 48) % 5 - 2);
        }
        write(smooth, "latents", new HostTensor(Shape.of(16, 2, 4, 6), flat));
        Path raw = folder.resolve("raw.safetensors");
        CommandLineRun run = CommandLineRun.of("decode", smooth, "--vae", vae, "--out", out);
        assertThat(run.exitCode()).as(run.err()).isZero();
        CommandLineRun.of("decode", smooth, "--vae", vae, "--out", raw);
        float[] expected = read(raw, "video");
        List<float[]> frames = new ArrayList<>();
        VideoSource.read(out, frame -> frames.add(frame.values()));
        assertThat(frames).hasSize(5);
        double squares = 0;
        int count = 0;
        for (int i = 0; i < frames.size(); i++) {
            for (int j = 0; j < frames.get(i).length; j++, count++) {
                double difference = frames.get(i)[j] - Math.clamp(expected[i * frames.get(i).length + j], -1, 1);
                squares += difference * difference / 4;
            }
        }
        double psnr = -10 * Math.log10(squares / count);
        assertThat(psnr).as("PSNR in dB").isGreaterThan(25);

        Assumptions.assumeTrue(
                Files.isExecutable(Path.of("/usr/bin/ffprobe")), "needs /usr/bin/ffprobe (Debian: ffmpeg)");
        Process probe = new ProcessBuilder(
                        "/usr/bin/ffprobe",
                        "-v",
                        "error",
                        "-count_frames",
                        "-show_entries",
                        "stream=codec_name,width,height,pix_fmt,r_frame_rate,nb_read_frames",
                        "-of",
                        "csv=p=0",
                        out.toString())
                .redirectErrorStream(true)
                .start();
        assertThat(new String(probe.getInputStream().readAllBytes(), UTF_8).strip())
                .isEqualTo("h264,48,32,yuv420p,16/1,5");
        assertThat(probe.waitFor()).isZero();
    }

    private CommandLineRun extract(Object... more) {
        Object[] args = {
            "extract",
            "--layer",
            "0",
            "--num-frames",
            "4",
            "--attention",
            "both",
            "--what",
            "frame-logits,key-logits,query-logits",
            "--output",
            folder.resolve("run.safetensors"),
            "-q"
        };
        Object[] all = Arrays.copyOf(args, args.length + more.length);
        System.arraycopy(more, 0, all, args.length, more.length);
        return CommandLineRun.of(all);
    }

    @Test
    void extract_decodesWhileItRuns_whatDecodeMakesOfItsLatents() {
        Path video = folder.resolve("v.safetensors");
        Path clean = folder.resolve("clean.safetensors");
        assertThat(extract("--video", video).err()).contains("--video: expected --vae FILE with it");
        CommandLineRun run = extract("--video", video, "--vae", vae, "--save-latents", clean);
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out()).contains("Video in " + video);
        Path later = folder.resolve("later.safetensors");
        assertThat(CommandLineRun.of("decode", clean, "--vae", vae, "--out", later)
                        .exitCode())
                .isZero();
        assertThat(read(video, "video")).hasSize(13 * 3 * 128 * 128).isEqualTo(read(later, "video"));
    }

    @Test
    void extract_encodesKreasFirstPictureAnew_ifThereIsAVae() throws IOException {
        Path kept = folder.resolve("kept.safetensors");
        Path anew = folder.resolve("anew.safetensors");
        Object[] krea = {
            "extract",
            "--preset",
            "krea-realtime-14b",
            "--latent-size",
            "4x4",
            "--num-frames",
            "12",
            "-q",
            "--output",
            folder.resolve("run.safetensors"),
            "--force",
            "--save-latents"
        };
        CommandLineRun without = CommandLineRun.of(with(krea, kept));
        assertThat(without.exitCode()).as(without.err()).isZero();
        CommandLineRun encoding = CommandLineRun.of(with(krea, anew, "--vae", vae));
        assertThat(encoding.exitCode()).as(encoding.err()).isZero();
        float[] a = read(kept, "output");
        float[] b = read(anew, "output");
        int block = a.length / 4;
        assertThat(Arrays.copyOf(b, 2 * block)).isEqualTo(Arrays.copyOf(a, 2 * block));
        assertThat(Arrays.copyOfRange(b, 2 * block, 3 * block))
                .isNotEqualTo(Arrays.copyOfRange(a, 2 * block, 3 * block));
        assertThat(CommandLineRun.of(with(krea, anew, "--vae", vae, "--dry-run"))
                        .out())
                .contains("first, re-encoded");
        Object[] loud = Arrays.stream(krea).filter(word -> !word.equals("-q")).toArray();
        CommandLineRun plan = CommandLineRun.of(with(loud, anew, "--dry-run"));
        assertThat(plan.out()).doesNotContain("first, re-encoded");
        assertThat(plan.err())
                .contains("frame 0 stays first among the recomputed keys")
                .contains("set --vae");
        CommandLineRun plain = extract("--vae", vae, "--dry-run");
        assertThat(plain.exitCode()).isEqualTo(2);
        assertThat(plain.err()).contains("--vae: expected --video FILE");
    }

    private static Object[] with(Object[] some, Object... more) {
        Object[] all = Arrays.copyOf(some, some.length + more.length);
        System.arraycopy(more, 0, all, some.length, more.length);
        return all;
    }

    @Test
    void overlay_liesOverTheFramesOfTheVideo() throws IOException {
        Path video = folder.resolve("frames");
        Path result = folder.resolve("run.safetensors");
        assertThat(extract("--video", video, "--vae", vae).exitCode()).isZero();
        Path svg = folder.resolve("overlay.svg");
        CommandLineRun run =
                CommandLineRun.of("plot", result, "--kind", "overlay", "--video", video, "--head", "3", "--out", svg);
        assertThat(run.exitCode()).as(run.err()).isZero();
        String text = Files.readString(svg);
        assertThat(text).contains("<g id=\"frame-0\">", "<g id=\"frame-3\">", "logits of key tokens");
        assertThat(text.split("<image ", -1)).hasSize(5);

        CommandLineRun.of(
                "plot",
                result,
                "--kind",
                "overlay",
                "--video",
                video,
                "--token",
                "4",
                "--frame-block",
                "1",
                "--out",
                svg);
        assertThat(Files.readString(svg))
                .contains("towards token 4 of the prompt", "frame-1")
                .doesNotContain("frame-0");

        Path mp4 = folder.resolve("overlay.mp4");
        CommandLineRun.of("plot", result, "--kind", "overlay", "--video", video, "--out", mp4);
        int[] frames = {0};
        VideoSource.read(mp4, frame -> frames[0]++);
        assertThat(frames[0]).isEqualTo(13);

        run = CommandLineRun.of("plot", result, "--kind", "overlay", "--out", svg);
        assertThat(run.err()).contains("expected --video VIDEO, which decode writes, got none");
        run = CommandLineRun.of(
                "plot", result, "--kind", "overlay", "--video", video.resolve("0000.png"), "--out", svg);
        assertThat(run.err()).contains("expected 13 frames or more, for latent frame 3, got 1");
        run = CommandLineRun.of("plot", result, "--kind", "overlay", "--video", video, "--token", "9999", "--out", svg);
        assertThat(run.err()).contains("--token: expected 0 to 31, got 9999");
    }

    @Test
    void mistakes_areNamed() {
        CommandLineRun run = CommandLineRun.of("decode", vae, "--vae", vae, "--out", folder.resolve("x.mp4"));
        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.err()).contains("expected a tensor named output, initial_latent, latents");
        run = CommandLineRun.of("decode", latents, "--vae", latents, "--out", folder.resolve("x.mp4"));
        assertThat(run.err()).contains("expected a VAE of Wan2.1");
        assertThat(folder.resolve("x.mp4")).doesNotExist();
        run = CommandLineRun.of("decode", latents, "--vae", vae, "--sample", "1", "--out", folder.resolve("x.mp4"));
        assertThat(run.err()).contains("expected a sample below 1, got 1");
        run = CommandLineRun.of("encode", folder.resolve("none.png"), "--vae", vae);
        assertThat(run.err()).contains("none.png: no such file");
        try (var files = Files.list(folder)) {
            assertThat(files.map(Path::getFileName).map(Path::toString))
                    .containsExactlyInAnyOrder("Wan2.1_VAE.pth", "latents.safetensors");
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
