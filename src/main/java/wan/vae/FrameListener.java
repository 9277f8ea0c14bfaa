package wan.vae;

import wan.op.HostTensor;

/** Told of each frame as soon as it is final. */
@FunctionalInterface
public interface FrameListener {
    /**
     * A frame.
     *
     * @param frame [channels, rows, columns]
     */
    void frame(HostTensor frame);
}
