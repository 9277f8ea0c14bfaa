package uk.ac.manchester.tornado.api;

/** The drivers that are there. */
public interface TornadoRuntime {
    /** How many. */
    int getNumBackends();

    /** One of them. */
    TornadoBackend getBackend(int index);
}
