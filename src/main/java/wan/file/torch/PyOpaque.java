package wan.file.torch;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A value in a pickle that is not interpreted: an unknown class, a NumPy array, a sparse tensor. Nothing was run to make it;
 * only its name and the items that were put into it are known. Two of them are never equal.
 */
public final class PyOpaque {
    private final String what;
    private final Map<Object, Object> items = new LinkedHashMap<>();

    PyOpaque(String what) {
        this.what = what;
    }

    /** What was put into it as into a dict: a subclass of dict keeps its tensors this way. */
    Map<Object, Object> items() {
        return items;
    }

    @Override
    public String toString() {
        return what;
    }
}
