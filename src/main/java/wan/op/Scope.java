package wan.op;

/** Owner of scratch: closing it frees every tensor that operations have made since it was opened. Scopes nest. */
public interface Scope extends AutoCloseable {
    @Override
    void close();
}
