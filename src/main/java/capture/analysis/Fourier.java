package capture.analysis;

import java.util.Arrays;

/**
 * The discrete Fourier transform of real series of one length, in O(n log n) for any length: Bluestein's algorithm turns it
 * into a convolution, which is computed with lengths that are powers of two. Not thread-safe, because it reuses its arrays.
 */
final class Fourier {
    private final int length;
    private final int size; // of the convolution, a power of two
    private final double[] chirpRe;
    private final double[] chirpIm;
    private final double[] kernelRe;
    private final double[] kernelIm;
    private final double[] rootRe;
    private final double[] rootIm;
    private final double[] hann;
    /** Two pairs, between which a transform goes back and forth. */
    private double[] re;

    private double[] im;
    private double[] toRe;
    private double[] toIm;

    /**
     * Prepares the tables of a length.
     *
     * @param length of the series, at least 1
     */
    Fourier(int length) {
        this.length = length;
        int lags = length + length / 2; // from 1 - length to length / 2
        size = Integer.highestOneBit(Math.max(1, lags - 1)) << 1;
        rootRe = new double[size / 2];
        rootIm = new double[size / 2];
        for (int i = 0; i < size / 2; i++) {
            rootRe[i] = Math.cos(2 * Math.PI * i / size);
            rootIm[i] = -Math.sin(2 * Math.PI * i / size);
        }
        hann = new double[length];
        for (int i = 0; i < length; i++) {
            hann[i] = length == 1 ? 1 : 0.5 - 0.5 * Math.cos(2 * Math.PI * i / (length - 1));
        }
        chirpRe = new double[length];
        chirpIm = new double[length];
        kernelRe = new double[size];
        kernelIm = new double[size];
        for (int i = 0; i < length; i++) {
            double angle = Math.PI * ((long) i * i % (2L * length)) / length;
            chirpRe[i] = Math.cos(angle);
            chirpIm[i] = -Math.sin(angle);
            // The kernel is the chirp's conjugate at every lag.
            kernelRe[i == 0 ? 0 : size - i] = chirpRe[i];
            kernelIm[i == 0 ? 0 : size - i] = -chirpIm[i];
            if (i <= length / 2) {
                kernelRe[i] = chirpRe[i];
                kernelIm[i] = -chirpIm[i];
            }
        }
        re = kernelRe.clone();
        im = kernelIm.clone();
        toRe = new double[size];
        toIm = new double[size];
        transform();
        System.arraycopy(re, 0, kernelRe, 0, size);
        System.arraycopy(im, 0, kernelIm, 0, size);
    }

    /** Which length it is for. */
    int length() {
        return length;
    }

    /** Hann's window of this length. */
    double window(int index) {
        return hann[index];
    }

    /**
     * Squared magnitudes of the transform.
     *
     * @param series of this transform's length
     * @return of the frequencies 0 to n/2
     */
    double[] power(double[] series) {
        for (int i = 0; i < length; i++) {
            re[i] = series[i] * chirpRe[i];
            im[i] = series[i] * chirpIm[i];
        }
        Arrays.fill(re, length, size, 0);
        Arrays.fill(im, length, size, 0);
        transform();
        for (int i = 0; i < size; i++) {
            double product = re[i] * kernelRe[i] - im[i] * kernelIm[i];
            // The conjugate, so that the same transform leads back.
            im[i] = -(re[i] * kernelIm[i] + im[i] * kernelRe[i]);
            re[i] = product;
        }
        transform();
        double[] power = new double[length / 2 + 1];
        for (int j = 0; j < power.length; j++) {
            // Multiplying by the chirp once more would turn the phase only.
            power[j] = (re[j] * re[j] + im[j] * im[j]) / ((double) size * size);
        }
        return power;
    }

    /** The stage whose inner loop would run once. */
    private static void firstStage(
            double[] re, double[] im, double[] rootRe, double[] rootIm, double[] toRe, double[] toIm) {
        int half = rootRe.length;
        for (int p = 0; p < half; p++) {
            double dRe = re[p] - re[p + half];
            double dIm = im[p] - im[p + half];
            toRe[2 * p] = re[p] + re[p + half];
            toIm[2 * p] = im[p] + im[p + half];
            toRe[2 * p + 1] = dRe * rootRe[p] - dIm * rootIm[p];
            toIm[2 * p + 1] = dRe * rootIm[p] + dIm * rootRe[p];
        }
    }

    /** Of {@link #re} and {@link #im}: Stockham's order needs no bit reversal, and its inner loop runs over neighbours. */
    private void transform() {
        for (int half = size / 2, stride = 1; half >= 1; half /= 2, stride *= 2) {
            if (stride == 1) {
                firstStage(re, im, rootRe, rootIm, toRe, toIm);
            } else {
                for (int p = 0; p < half; p++) {
                    int in = p * stride;
                    butterflies(
                            re, im, in, in + half * stride, stride, rootRe[in], rootIm[in], toRe, toIm, 2 * p * stride);
                }
            }
            double[] swapRe = re;
            double[] swapIm = im;
            re = toRe;
            im = toIm;
            toRe = swapRe;
            toIm = swapIm;
        }
    }

    private static void butterflies(
            double[] re,
            double[] im,
            int in,
            int other,
            int stride,
            double wRe,
            double wIm,
            double[] toRe,
            double[] toIm,
            int out) {
        for (int q = 0; q < stride; q++) {
            double aRe = re[in + q];
            double aIm = im[in + q];
            double bRe = re[other + q];
            double bIm = im[other + q];
            toRe[out + q] = aRe + bRe;
            toIm[out + q] = aIm + bIm;
            double dRe = aRe - bRe;
            double dIm = aIm - bIm;
            toRe[out + stride + q] = dRe * wRe - dIm * wIm;
            toIm[out + stride + q] = dRe * wIm + dIm * wRe;
        }
    }
}
