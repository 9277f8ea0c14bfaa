package wan.file.torch;

/**
 * A class or function that a pickle names. Only a name: there is nothing behind it.
 *
 * @param module for example {@code torch}
 * @param name for example {@code float16}
 */
public record PyGlobal(String module, String name) {
    @Override
    public String toString() {
        return module + "." + name;
    }
}
