package tornado;

import wan.op.Shape;
import wan.op.Tensor;

/** What a library has left in 16 bits, or was then rounded to 8. The next linear layer takes it so; for whatever else wants it, it is made again, in float32. */
final class DeviceHalf implements Tensor {
    private final DeviceTensor room;
    private final int place;
    private final int scales;
    private final Runnable make;
    private boolean made;

    /**
     * Not yet made in float32.
     *
     * @param room where floats go
     * @param place in the array of halves
     * @param scales of the rows among the activations; 0 with 16 bits
     * @param make fills the room
     */
    DeviceHalf(DeviceTensor room, int place, int scales, Runnable make) {
        this.room = room;
        this.place = place;
        this.scales = scales;
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

    /** Whether it is in 16 or 8 bits only. */
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

    /** Of the rows among the activations; 0 with 16 bits. */
    int scales() {
        return scales;
    }

    @Override
    public Shape shape() {
        return room.shape();
    }
}
