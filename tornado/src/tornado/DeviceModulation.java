package tornado;

import wan.op.Shape;
import wan.op.Tensor;

/**
 * A modulation table and the embedding that is added to it. Kernels that multiply by one row of it add while they read; the sums are
 * made for whatever else wants them.
 */
final class DeviceModulation implements Tensor {
    private final DeviceTensor room;
    private final DeviceTensor table;
    private final DeviceTensor embedding;
    private final Runnable sum;
    private boolean summed;

    /**
     * Not yet summed.
     *
     * @param room where sums go, [E, rows, dim]
     * @param table [1, rows, dim], a parameter
     * @param embedding [E, rows * dim] or [E, dim]
     * @param sum makes the sums
     */
    DeviceModulation(DeviceTensor room, DeviceTensor table, DeviceTensor embedding, Runnable sum) {
        this.room = room;
        this.table = table;
        this.embedding = embedding;
        this.sum = sum;
    }

    /**
     * One row of every entry, as kernels read it.
     *
     * @param at the first entry's among the activations
     * @param stride from one entry to the next
     * @param table what is added to each, among the parameters; 0 for nothing
     */
    record Row(int at, int stride, int table) {
        /** Of any modulation [E, rows, dim]. */
        static Row of(String op, Tensor modulation, int row) {
            int dim = modulation.shape().dim(2);
            if (modulation instanceof DeviceModulation own && !own.summed) {
                DeviceTensor _ = own.room.alive(op);
                int width = own.embedding.alive(op).shape().dim(1);
                int at = own.embedding.offset() + (width == dim ? 0 : row * dim);
                return new Row(at, width, own.table.offset() + row * dim);
            }
            int at = Operands.activation(op, modulation).offset() + row * dim;
            return new Row(at, modulation.shape().dim(1) * dim, 0);
        }
    }

    /** The sums, made now if they have not been. */
    DeviceTensor values() {
        if (!summed) {
            summed = true;
            sum.run();
        }
        return room;
    }

    @Override
    public Shape shape() {
        return room.shape();
    }
}
