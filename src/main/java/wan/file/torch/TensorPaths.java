package wan.file.torch;

import java.util.ArrayDeque;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import wan.op.FormatException;

/**
 * The tensors in nested dicts, lists and tuples, by their path: the keys joined by {@code /}, elements of lists by their
 * number.
 *
 * <p>Pickles can hold cycles, and values that are shared so often that writing them out never ends. Both are refused, so that
 * code that walks the values afterwards needs no such checks.
 */
final class TensorPaths {
    private static final int MAX_DEPTH = 100;
    private static final int MAX_PATH_CHARS = 4096;
    private static final int MAX_VALUES = 4_000_000;
    private static final int MOST_UNREADABLE = 100_000;
    private static final long MAX_ALL_PATHS_CHARS = 64L << 20;

    private final Object file;
    private final Deque<Level> levels = new ArrayDeque<>();
    private final Set<Object> open = Collections.newSetFromMap(new IdentityHashMap<>());
    private final SequencedMap<String, TorchTensor> tensors = new LinkedHashMap<>();
    private final SequencedMap<String, String> unreadable = new LinkedHashMap<>();
    private long pathsChars;

    /** A container being walked; {@code name} is its own in the container around it. */
    private record Level(String name, Object container, Iterator<? extends Map.Entry<?, ?>> rest) {}

    TensorPaths(Object file) {
        this.file = file;
    }

    /**
     * All tensors below a value, in the order of the file; a file that is one tensor has the path {@code tensor}.
     *
     * @throws FormatException if the value is nested too deep, or two tensors have one path
     */
    SequencedMap<String, TorchTensor> collect(Object root) {
        if (root instanceof TorchStorage) {
            throw new FormatException(file, "contains a bare storage instead of a tensor");
        }
        if (root instanceof PyOpaque opaque && opaque.items().isEmpty()) {
            throw new FormatException(
                    file, "is " + opaque + ", not a dict of tensors; in Python, save what its state_dict() gives");
        }
        visit(root instanceof TorchTensor ? "tensor" : "", root);
        int visited = 0;
        while (!levels.isEmpty()) {
            Level level = levels.getLast();
            if (!level.rest.hasNext()) {
                open.remove(level.container);
                levels.removeLast();
                continue;
            }
            if (++visited > MAX_VALUES) {
                throw new FormatException(file, "its values, written out, are more than " + MAX_VALUES);
            }
            Map.Entry<?, ?> child = level.rest.next();
            visit(String.valueOf(child.getKey()), child.getValue());
        }
        return tensors;
    }

    /** What lies at other paths and could not be read, in words. */
    SequencedMap<String, String> unreadable() {
        return unreadable;
    }

    private void visit(String name, @Nullable Object value) {
        switch (value) {
            case TorchTensor tensor -> {
                String path = path(name);
                if (tensors.putIfAbsent(path, tensor) != null) {
                    throw new FormatException(file, "has two tensors at the path " + ZipDirectory.printable(path));
                }
            }
            case Map<?, ?> map -> enter(name, map, map.entrySet().iterator());
            case Set<?> _ -> {} // scalars only
            case List<?> list -> enter(name, list, numbered(list));
            case PyTuple tuple -> enter(name, tuple, numbered(tuple.items()));
            case PyOpaque opaque -> {
                if (unreadable.size() < MOST_UNREADABLE) {
                    unreadable.put(path(name), opaque.toString());
                }
                enter(name, opaque, opaque.items().entrySet().iterator());
            }
            case null, default -> {}
        }
    }

    private static Iterator<Map.Entry<String, Object>> numbered(List<?> list) {
        return IntStream.range(0, list.size())
                .mapToObj(i -> Map.entry(String.valueOf(i), (Object) list.get(i)))
                .iterator();
    }

    private void enter(String name, Object container, Iterator<? extends Map.Entry<?, ?>> children) {
        if (!open.add(container)) {
            return; // its tensors have the paths of where it began
        }
        if (levels.size() == MAX_DEPTH) {
            throw new FormatException(file, "is nested more than " + MAX_DEPTH + " deep");
        }
        levels.addLast(new Level(name, container, children));
    }

    private String path(String name) {
        StringBuilder path = new StringBuilder();
        // The outermost container has no name.
        levels.stream().skip(1).forEach(level -> append(path, level.name).append('/'));
        append(path, name);
        pathsChars += path.length();
        if (pathsChars > MAX_ALL_PATHS_CHARS) {
            throw new FormatException(
                    file, "the paths of its tensors are more than " + MAX_ALL_PATHS_CHARS + " characters");
        }
        return path.toString();
    }

    private StringBuilder append(StringBuilder path, String name) {
        if (path.length() + name.length() > MAX_PATH_CHARS) {
            throw new FormatException(file, "has a tensor whose path is longer than " + MAX_PATH_CHARS + " characters");
        }
        return path.append(name);
    }
}
