package uk.ac.manchester.tornado.runtime.library.spi;

/** A device that shows libraries where it queues its work. */
public interface TornadoNativeStreamSupport {
    /** The stream of a plan. */
    long getNativeStream(long executionPlanId);
}
