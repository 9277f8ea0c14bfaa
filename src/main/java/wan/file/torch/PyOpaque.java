package wan.file.torch;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Something in a pickle that is no data of ours: a class of somebody's, an array of NumPy's, a sparse tensor. Nothing was run to make it,
 * and nothing is known of it but what it is called and which items were put into it. Two of them are never equal.
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
