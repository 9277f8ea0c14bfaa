package tornado;

import java.util.concurrent.CancellationException;
import wan.op.KvTensor;
import wan.op.Linear;
import wan.op.Tensor;
import wan.op.WanException;

/** What operations were given, as this backend's own. */
final class Operands {
    private Operands() {}

    /** The one place where a pass can be stopped. */
    static void begin(String op) {
        if (Thread.interrupted()) {
            throw new CancellationException(op + ": stopped by an interrupt");
        }
    }

    private static DeviceTensor own(String op, Tensor tensor) {
        return switch (tensor) {
            case DeviceTensor own -> own.alive(op);
            case DeviceModulation own -> own.values().alive(op);
            case DeviceHalf own -> own.values().alive(op);
            default -> throw WanException.mismatch(op, "a tensor of the tornado backend", tensor, "");
        };
    }

    /** A tensor that kernels may write. */
    static DeviceTensor activation(String op, Tensor tensor) {
        DeviceTensor own = own(op, tensor);
        if (own.parameter()) {
            throw WanException.mismatch(op, "an activation " + own.shape(), "a parameter", "write it to scratch first");
        }
        return own;
    }

    /** A tensor that stays as it is. */
    static DeviceTensor parameter(String op, Tensor tensor) {
        DeviceTensor own = own(op, tensor);
        if (!own.parameter()) {
            throw WanException.mismatch(op, "a parameter " + own.shape(), "an activation", "make it with parameter()");
        }
        return own;
    }

    /** Keys and values. */
    static DeviceCache cache(String op, KvTensor cache) {
        if (cache instanceof DeviceCache own) {
            return own;
        }
        throw WanException.mismatch(op, "a cache of the tornado backend", cache, "");
    }

    /** Parameters of a linear layer whose input is {@code x}. */
    static DeviceLinear linear(String op, Tensor x, Linear weights) {
        if (!(weights instanceof DeviceLinear own)) {
            throw WanException.mismatch(op, "parameters of the tornado backend", weights, "");
        }
        if (x.shape().rank() != 2 || x.shape().dim(1) != own.inFeatures()) {
            throw WanException.mismatch(op + " " + own.name(), "x [R, " + own.inFeatures() + "]", x.shape(), "");
        }
        return own;
    }
}
