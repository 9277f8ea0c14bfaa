package wan.app.command;

import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import wan.app.guard.Force;
import wan.app.guard.OutputKind;
import wan.app.guard.Reads;
import wan.app.guard.Writes;
import wan.app.option.VaeOptions;
import wan.file.TensorStore;
import wan.op.FrameOps;
import wan.op.UsageException;
import wan.vae.LatentDecoder;
import wan.vae.VaeDecoder;
import wan.vae.VideoLatents;
import wan.video.VideoSink;

/** {@code wan-attn decode}: latents to a video. */
@Command(
        name = "decode",
        description = "Decodes latents with Wan2.1's VAE into a video.",
        footer = {
            "",
            "The name of --output sets the format: .mp4 (H.264); a folder or a name without",
            "an ending: one PNG file per frame; .safetensors: the tensor video [F,3,H,W], not",
            "clamped to [-1,1]; any other ending is written by ffmpeg, if it is on the PATH.",
            "F latent frames give 1 + 4(F-1) frames. Memory does not grow with the length.",
            "",
            "Examples:",
            "  wan-attn extract --model DIR --prompt \"a cat walks\" \\",
            "      --save-latents cat.safetensors",
            "  wan-attn decode cat.safetensors --vae Wan2.1_VAE.pth --output cat.mp4"
        })
public final class DecodeCommand implements Callable<Integer> {
    @Reads
    @Parameters(
            paramLabel = "LATENTS",
            description = "A file of extract --save-latents, or another file with latents [B,F,16,H,W], [F,16,H,W] or"
                    + " [16,F,H,W].")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path latents;

    @Mixin
    private VaeOptions vae = new VaeOptions();

    @Writes(OutputKind.VIDEO)
    @Option(
            names = {"-o", "--output", "--out"},
            paramLabel = "FILE",
            description = "The video (default: ${DEFAULT-VALUE}).")
    private Path out = Path.of("video.mp4");

    @Mixin
    @SuppressWarnings("UnusedVariable") // the guard asks picocli for it
    private Force force = new Force();

    @Option(
            names = "--sample",
            paramLabel = "N",
            description = "Number of the video in the batch (default: ${DEFAULT-VALUE}).")
    private int sample;

    @Option(
            names = "--fps",
            paramLabel = "N",
            description = "Frames per second of the video (default: ${DEFAULT-VALUE}, as in Wan).")
    private int rate = VideoSink.FRAMES_PER_SECOND;

    @Override
    public Integer call() {
        if (rate < 1) {
            throw new UsageException("--fps: expected 1 or more, got " + rate);
        }
        VideoLatents input = VideoLatents.read(latents, sample);
        int frames = VaeDecoder.frames(input.frames());
        try (TensorStore store = vae.open();
                FrameOps ops = vae.ops();
                VideoSink sink = VideoSink.open(out, frames, rate)) {
            LatentDecoder decoder = LatentDecoder.of(ops, store);
            FrameProgress progress = new FrameProgress(frames);
            for (int i = 0; i < input.frames(); i++) {
                decoder.decode(input.frame(i), frame -> {
                    sink.frame(frame);
                    progress.frameDone();
                });
            }
            progress.finish();
            sink.finish();
            System.out.printf(
                    Locale.ROOT,
                    "%s: %d frames of %d x %d, %.1f s at %d frames per second, decoded in %.1f s%n",
                    out,
                    frames,
                    VaeDecoder.SPACE * input.frame(0).shape().dim(2),
                    VaeDecoder.SPACE * input.frame(0).shape().dim(1),
                    (double) frames / rate,
                    rate,
                    progress.seconds());
        }
        return 0;
    }
}
