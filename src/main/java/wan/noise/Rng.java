package wan.noise;

import java.util.Locale;

/** Generators of normal numbers, under the names of {@code --rng}. */
public enum Rng {
    /**
     * {@code torch.randn} of a CPU tensor: mt19937 and PyTorch's Box-Muller kernels, bit for bit as its x86 builds with
     * AVX2 compute them.
     */
    TORCH_CPU,
    /**
     * {@code torch.randn} of a CUDA tensor: Philox 4x32-10 in the order of PyTorch's kernel. Depends on the device's size:
     * see {@link CudaGeometry}.
     */
    TORCH_CUDA,
    /**
     * wan-attn's own: the JDK's {@code L64X128MixRandom} and its {@code nextGaussian}. Same noise on every machine with the
     * same JDK; no PyTorch draws it.
     */
    JAVA;

    /** The option's spelling: {@code torch-cpu}. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
