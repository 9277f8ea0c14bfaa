package wan.jvm.scalar;

import java.util.List;
import wan.jvm.kernel.ConvolutionCall;
import wan.jvm.kernel.Workers;
import wan.op.FrameOps.Activation;

/** A convolution as it is defined, with double accumulation. */
final class ScalarConvolution {
    private final ConvolutionCall call;
    private final float[] weights;

    /** @param weights [out, in, frames, rows, columns] */
    ScalarConvolution(ConvolutionCall call, float[] weights) {
        this.call = call;
        this.weights = weights;
    }

    void run(Workers workers) {
        double[] h = before();
        List<ConvolutionCall.Sum> sums = call.sums();
        int pixels = call.rows() * call.columns();
        workers.ranges(call.weights().outChannels(), 1, (from, to) -> {
            double[] results = new double[sums.size()];
            for (int out = from; out < to; out++) {
                for (int pixel = 0; pixel < pixels; pixel++) {
                    int at = out * pixels + pixel;
                    for (int i = 0; i < results.length; i++) {
                        results[i] = sum(sums.get(i), h, out, pixel);
                    }
                    for (int i = 0; i < results.length; i++) {
                        float[] target = sums.get(i).to();
                        target[at] = (float) (sums.get(i).add() ? target[at] + results[i] : results[i]);
                    }
                }
            }
        });
    }

    private double sum(ConvolutionCall.Sum sum, double[] h, int out, int pixel) {
        int kernelRows = call.weights().kernelRows();
        int kernelColumns = call.weights().kernelColumns();
        int channels = call.weights().inChannels();
        int frames = call.weights().kernelFrames();
        double value = sum.start() == null
                ? call.weights().bias()[out]
                : sum.start()[out * call.rows() * call.columns() + pixel];
        int firstRow = pixel / call.columns() * call.step() - call.marginRows();
        int firstColumn = pixel % call.columns() * call.step() - call.marginColumns();
        for (int channel = 0; channel < channels; channel++) {
            int weightAt = ((out * channels + channel) * frames + sum.kernelFrame()) * kernelRows * kernelColumns;
            for (int i = 0; i < kernelRows; i++) {
                for (int j = 0; j < kernelColumns; j++) {
                    value += weights[weightAt + i * kernelColumns + j]
                            * sampled(h, channel, firstRow + i, firstColumn + j);
                }
            }
        }
        return value;
    }

    /** A value of the sampled frame; zero around it. */
    private double sampled(double[] h, int channel, int row, int column) {
        int storedRow = row >> call.shift();
        int storedColumn = column >> call.shift();
        if (row < 0 || column < 0 || storedRow >= call.inRows() || storedColumn >= call.inColumns()) {
            return 0;
        }
        return h[(channel * call.inRows() + storedRow) * call.inColumns() + storedColumn];
    }

    /** The frame after norm and activation. */
    private double[] before() {
        int channels = call.weights().inChannels();
        int pixels = call.inRows() * call.inColumns();
        float[] gamma = call.gamma();
        double[] h = new double[channels * pixels];
        for (int pixel = 0; pixel < pixels; pixel++) {
            double squares = 0;
            for (int channel = 0; channel < channels; channel++) {
                double value = call.x()[channel * pixels + pixel];
                squares += value * value;
            }
            double factor = Math.sqrt(channels) / Math.max(Math.sqrt(squares), ConvolutionCall.SMALLEST_LENGTH);
            for (int channel = 0; channel < channels; channel++) {
                double value = call.x()[channel * pixels + pixel];
                h[channel * pixels + pixel] =
                        activated(gamma == null ? value : value * factor * gamma[channel], call.activation());
            }
        }
        return h;
    }

    private static double activated(double value, Activation activation) {
        return switch (activation) {
            case NONE -> value;
            case SILU -> value / (1 + Math.exp(-value));
            case RELU -> Math.max(value, 0);
        };
    }
}
