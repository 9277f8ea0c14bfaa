package wan.model;

/** Sinusoidal embedding of timesteps, computed in double as the reference does ({@code sinusoidal_embedding_1d}). */
final class Sinusoid {
    private Sinusoid() {}

    /**
     * All cosines, then all sines, of t * 10000^(-j / half), j below half = freqDim / 2.
     *
     * @param timesteps [E], on the scale 0 to 1000
     * @return [E, freqDim]
     */
    static float[] embed(float[] timesteps, int freqDim) {
        int half = freqDim / 2;
        float[] out = new float[timesteps.length * freqDim];
        for (int e = 0; e < timesteps.length; e++) {
            for (int j = 0; j < half; j++) {
                double angle = timesteps[e] * Math.pow(10000, -j / (double) half);
                out[e * freqDim + j] = (float) Math.cos(angle);
                out[e * freqDim + half + j] = (float) Math.sin(angle);
            }
        }
        return out;
    }
}
