package wan.app.option;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.app.guard.Reads;
import wan.file.TensorStore;
import wan.jvm.JvmFrameOps;
import wan.jvm.JvmOptions;
import wan.op.FrameOps;
import wan.vae.VaeFiles;

/** The options that say which VAE computes, and with what. */
public final class VaeOptions {
    @Reads
    @Option(
            names = "--vae",
            required = true,
            paramLabel = "PATH",
            description = "The VAE of Wan2.1: Wan2.1_VAE.pth, a safetensors or Diffusers file of it, taew2_1.pth to"
                    + " decode previews, or a folder with one of them.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path vae;

    @Option(names = "--threads", paramLabel = "N", description = "Number of compute threads (default: all cores).")
    private @Nullable Integer threads;

    /** Opens the file. */
    public TensorStore open() {
        return VaeFiles.open(vae);
    }

    /** What computes: the JVM, on whatever device the transformer runs. */
    public FrameOps ops() {
        JvmOptions defaults = JvmOptions.defaults();
        return new JvmFrameOps(threads == null ? defaults : new JvmOptions(threads, defaults.kernels()));
    }
}
