package wan.app.command;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
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
import wan.file.SafetensorsWriter;
import wan.file.TensorStore;
import wan.op.DType;
import wan.op.FrameOps;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.UsageException;
import wan.op.WanException;
import wan.vae.VaeDecoder;
import wan.vae.VaeEncoder;
import wan.vae.VideoLatents;
import wan.video.VideoSource;

/** {@code wan-attn encode}: a video or a picture to latents. */
@Command(
        name = "encode",
        description = "Encodes a video or a picture with Wan2.1's VAE into latents that a run can continue from.",
        footer = {
            "",
            "Writes the tensor initial_latent [1,F,16,H,W] in float32, for",
            "extract --initial-latent.",
            "1 + 4k frames give 1 + k latent frames; remaining frames are dropped. Width and",
            "height must be multiples of 8, and of 16 for the transformer.",
            "",
            "Examples:",
            "  wan-attn encode photo.png --vae Wan2.1_VAE.pth --output photo.safetensors",
            "  wan-attn extract --model DIR --prompt \"a cat walks\" \\",
            "      --initial-latent photo.safetensors --layer all",
            "  wan-attn encode clip.mp4 --vae Wan2.1_VAE.pth --frames 9 \\",
            "      --output clip.safetensors"
        })
public final class EncodeCommand implements Callable<Integer> {
    @Reads
    @Parameters(
            paramLabel = "VIDEO",
            description = "A picture, a folder of pictures in the order of their names, an MP4 file, a safetensors file"
                    + " with a tensor video [F,3,H,W], or any file that ffmpeg reads, if it is on the PATH.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path video;

    @Mixin
    private VaeOptions vae = new VaeOptions();

    @Writes(OutputKind.GIVEN_LATENTS)
    @Option(
            names = {"-o", "--output", "--out"},
            paramLabel = "FILE",
            description = "The .safetensors file to write (default: ${DEFAULT-VALUE}).")
    private Path out = Path.of("latent.safetensors");

    @Mixin
    @SuppressWarnings("UnusedVariable") // the guard asks picocli for it
    private Force force = new Force();

    @Option(names = "--frames", paramLabel = "N", description = "Encode only the first N frames.")
    private int most = Integer.MAX_VALUE;

    @Override
    public Integer call() {
        if (most < 1) {
            throw new UsageException("--frames: expected 1 or more, got " + most);
        }
        List<HostTensor> latents = new ArrayList<>();
        long startNanos = System.nanoTime();
        int[] read = {0};
        try (TensorStore store = vae.open();
                FrameOps ops = vae.ops()) {
            VaeEncoder encoder = new VaeEncoder(ops, store);
            Shape[] size = new Shape[1];
            VideoSource.read(video, frame -> {
                if (read[0] == most) {
                    return;
                }
                if (size[0] != null && !size[0].equals(frame.shape())) {
                    throw WanException.mismatch(
                            video + ": frame " + read[0], "the first one's size, " + size[0], frame.shape(), "");
                }
                size[0] = frame.shape();
                read[0]++;
                encoder.encode(frame, latents::add);
            });
        }
        if (latents.isEmpty()) {
            throw WanException.mismatch(video.toString(), "frames", "none", "");
        }
        write(latents);
        int used = VaeDecoder.frames(latents.size());
        System.out.printf(
                Locale.ROOT,
                "%s: %d latent frames %s of %d frames%s, encoded in %.1f s%n",
                out,
                latents.size(),
                latents.getFirst().shape(),
                used,
                used < read[0] ? " (the last " + (read[0] - used) + " do not complete four)" : "",
                (System.nanoTime() - startNanos) / 1e9);
        return 0;
    }

    private void write(List<HostTensor> latents) {
        Shape frame = latents.getFirst().shape();
        try (SafetensorsWriter writer = SafetensorsWriter.create(out, 1024)) {
            SafetensorsWriter.Region region = writer.add(
                    VideoLatents.INITIAL,
                    DType.F32,
                    Shape.of(1, latents.size(), frame.dim(0), frame.dim(1), frame.dim(2)));
            for (int i = 0; i < latents.size(); i++) {
                region.write(i * frame.size(), latents.get(i).values());
            }
            writer.finish(Map.of("video", String.valueOf(video.getFileName())));
        }
    }
}
