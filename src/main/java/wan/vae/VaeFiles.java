package wan.vae;

import java.nio.file.Path;
import java.util.List;
import wan.file.Contents;
import wan.file.TensorFiles;
import wan.file.TensorStore;

/** Finds the VAE's weights in the files and folders in which they come. */
public final class VaeFiles {
    private static final TensorFiles FILES = new TensorFiles(
            Contents.VAE,
            List.of(
                    "Wan2.1_VAE.pth",
                    "vae/diffusion_pytorch_model.safetensors",
                    "wan_2.1_vae.safetensors",
                    "Wan2_1_VAE_bf16.safetensors",
                    "Wan2_1_VAE_fp32.safetensors",
                    "taew2_1.safetensors",
                    "taew2_1.pth"),
            List.of("vae"));

    private VaeFiles() {}

    /**
     * Opens the file that a path means.
     *
     * @param path a file, or a folder that has one: Wan's, Diffusers', Hugging Face's cache
     * @throws wan.op.WanException if there is none
     */
    public static TensorStore open(Path path) {
        return FILES.open(path);
    }
}
