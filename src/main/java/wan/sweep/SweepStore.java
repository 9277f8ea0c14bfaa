package wan.sweep;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The files of a sweep by their names in it, such as {@code runs/ID.json}: in a folder of this machine, or wherever an engine keeps them. What
 * it says of itself names the place in messages.
 */
public interface SweepStore {
    /** The names in a folder of it, {@code ""} for its own; none if there is no such folder. */
    List<String> names(String folder);

    /** A small file; null if it is not there. */
    byte @Nullable [] read(String name);

    /** Writes a small file in place of what is there, whole or not at all, and the folder that it lies in. */
    void write(String name, byte[] bytes);
}
