package wan.sweep;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The files of a sweep by their relative names, such as {@code runs/ID.json}: in a local folder, or wherever an engine keeps them. Its
 * {@code toString} names the place in messages.
 */
public interface SweepStore {
    /** The names in one of its folders ({@code ""} is the top folder); empty if there is no such folder. */
    List<String> names(String folder);

    /** The content of a small file; null if it does not exist. */
    byte @Nullable [] read(String name);

    /** Writes or replaces a small file, completely or not at all, and creates its folder if necessary. */
    void write(String name, byte[] bytes);
}
