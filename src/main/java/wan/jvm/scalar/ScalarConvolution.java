package wan.jvm.scalar;

import java.lang.foreign.ValueLayout;
import java.util.List;
import wan.jvm.kernel.ConvolutionCall;
import wan.jvm.kernel.Frame;
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
        workers.ranges(call.weights().outChannels(), 1, (from, to) -> {
            double[] results = new double[sums.size()];
            for (int out = from; out < to; out++) {
                for (int row = call.rows().first(); row < call.rows().end(); row++) {
                    for (int column = 0; column < call.columns(); column++) {
                        for (int i = 0; i < results.length; i++) {
                            results[i] = sum(sums.get(i), h, out, row, column);
                        }
                        for (int i = 0; i < results.length; i++) {
                            Frame target = sums.get(i).to();
                            double present = sums.get(i).add() ? get(target, out, row, column) : 0;
                            set(target, out, row, column, (float) (present + results[i]));
                        }
                    }
                }
            }
        });
    }

    private static double get(Frame frame, int channel, int row, int column) {
        return frame.values().get(ValueLayout.JAVA_FLOAT, frame.at(channel, row) + (long) Float.BYTES * column);
    }

    private static void set(Frame frame, int channel, int row, int column, float value) {
        frame.values().set(ValueLayout.JAVA_FLOAT, frame.at(channel, row) + (long) Float.BYTES * column, value);
    }

    private double sum(ConvolutionCall.Sum sum, double[] h, int out, int row, int column) {
        int kernelRows = call.weights().kernelRows();
        int kernelColumns = call.weights().kernelColumns();
        int channels = call.weights().inChannels();
        int frames = call.weights().kernelFrames();
        double value = sum.start() == null ? call.weights().bias()[out] : get(sum.start(), out, row, column);
        int firstRow = row * call.step() - call.marginRows();
        int firstColumn = column * call.step() - call.marginColumns();
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
        Frame x = call.x();
        int storedRow = row >> call.shift();
        int storedColumn = column >> call.shift();
        if (row < 0 || column < 0 || storedRow >= x.rows() || storedColumn >= x.columns()) {
            return 0;
        }
        return h[Math.toIntExact(x.at(channel, storedRow) / Float.BYTES + storedColumn)];
    }

    /** The frame after norm and activation, as it is kept. */
    private double[] before() {
        int channels = call.weights().inChannels();
        int pixels = call.x().kept() * call.x().columns();
        float[] gamma = call.gamma();
        double[] h = new double[channels * pixels];
        for (int i = 0; i < h.length; i++) {
            h[i] = call.x().values().getAtIndex(ValueLayout.JAVA_FLOAT, i);
        }
        for (int pixel = 0; pixel < pixels; pixel++) {
            double squares = 0;
            for (int at = pixel; at < h.length; at += pixels) {
                squares += h[at] * h[at];
            }
            double factor = Math.sqrt(channels) / Math.max(Math.sqrt(squares), ConvolutionCall.SMALLEST_LENGTH);
            for (int channel = 0; channel < channels; channel++) {
                int at = channel * pixels + pixel;
                h[at] = activated(gamma == null ? h[at] : h[at] * factor * gamma[channel], call.activation());
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
