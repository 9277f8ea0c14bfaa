package wan.vae;

/** Mean and standard deviation of each latent channel of Wan2.1: what the transformer sees is (mu - mean) / std. */
final class VaeScale {
    private static final float[] MEAN = {
        -0.7571f, -0.7089f, -0.9113f, 0.1075f, -0.1745f, 0.9653f, -0.1517f, 1.5508f, 0.4134f, -0.0715f, 0.5517f,
        -0.3632f, -0.1922f, -0.9497f, 0.2503f, -0.2921f
    };
    private static final float[] STD = {
        2.8184f, 1.4541f, 2.3275f, 2.6558f, 1.2196f, 1.7708f, 2.6052f, 2.0743f, 3.2687f, 2.1526f, 2.8652f, 1.5579f,
        1.6382f, 1.1253f, 2.8251f, 1.9160f
    };

    /** Channels that there are constants for. */
    static final int CHANNELS = MEAN.length;

    private VaeScale() {}

    /** Normalised latents to the decoder's: [channels, pixels]. */
    static float[] denormalized(float[] latent) {
        float[] out = new float[latent.length];
        int pixels = latent.length / CHANNELS;
        for (int i = 0; i < out.length; i++) {
            out[i] = latent[i] / (1 / STD[i / pixels]) + MEAN[i / pixels];
        }
        return out;
    }

    /** The encoder's means to normalised latents; of more channels, the first ones. */
    static float[] normalized(float[] mu, int pixels) {
        float[] out = new float[CHANNELS * pixels];
        for (int i = 0; i < out.length; i++) {
            out[i] = (mu[i] - MEAN[i / pixels]) * (1 / STD[i / pixels]);
        }
        return out;
    }
}
