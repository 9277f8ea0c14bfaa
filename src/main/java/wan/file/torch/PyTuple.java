package wan.file.torch;

import java.util.List;

/**
 * A Python tuple (a torch.Size too); a list is a {@link List}.
 *
 * @param items the elements
 */
public record PyTuple(List<Object> items) {
    /** Takes a copy. */
    public PyTuple {
        items = List.copyOf(items);
    }

    int size() {
        return items.size();
    }

    Object get(int i) {
        return items.get(i);
    }
}
