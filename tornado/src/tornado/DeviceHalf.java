package tornado;

import wan.op.Shape;
import wan.op.Tensor;

/** What a library has left in 16 bits. The next linear layer takes it so; for whatever else wants it, it is made again, in float32. */
final class DeviceHalf implements Tensor {
    private final DeviceTensor room;
    private final int place;
    private final Runnable make;
    private boolean made;

    /**
     * Not yet made in float32.
     *
     * @param room where floats go
     * @param place in the array of halves
     * @param make fills the room
     */
    DeviceHalf(DeviceTensor room, int place, Runnable make) {
        this.room = room;
        this.place = place;
        this.make = make;
    }

    /** The floats, which may be changed from now on. */
    DeviceTensor values() {
        if (!made) {
            made = true;
            make.run();
        }
        return room;
    }

    /** Whether it is in 16 bits only. */
    boolean isHalf() {
        return !made;
    }

    DeviceTensor room() {
        return room;
    }

    /** In the array of halves. */
    int place() {
        return place;
    }

    @Override
    public Shape shape() {
        return room.shape();
    }
}
