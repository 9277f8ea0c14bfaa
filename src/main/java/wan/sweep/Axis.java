package wan.sweep;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import wan.op.UsageException;

/**
 * One dimension in which the runs of a sweep differ, such as the prompt or the seed.
 *
 * @param name unique in the sweep; letters, digits and underscores
 * @param points its values, in order
 */
public record Axis(String name, List<Point> points) {
    /** Copies the list; refuses an axis without values and two values with the same label. */
    public Axis {
        points = List.copyOf(points);
        if (!name.matches("[A-Za-z][A-Za-z0-9_]*")) {
            throw new UsageException(
                    "name: expected letters, digits and underscores, a letter first, got \"" + name + "\"");
        }
        if (points.isEmpty()) {
            throw new UsageException("axis " + name + ": expected one value or more, got none");
        }
        Set<String> labels = new HashSet<>();
        for (Point point : points) {
            if (!labels.add(point.label())) {
                throw new UsageException(
                        "axis " + name + ": expected different values, got " + point.label() + " twice");
            }
        }
    }

    /** Combines axes of equal length value by value (the first with the first, and so on), not in every combination. */
    static Axis zip(List<Axis> axes, String name) {
        int size = axes.getFirst().points().size();
        for (Axis axis : axes) {
            if (axis.points().size() != size) {
                throw new UsageException("zip: expected axes of one length, got " + size + " values of "
                        + axes.getFirst().name() + " and " + axis.points().size() + " of " + axis.name());
            }
        }
        List<Point> points = new ArrayList<>(axes.getFirst().points());
        for (Axis axis : axes.subList(1, axes.size())) {
            for (int i = 0; i < size; i++) {
                points.set(i, points.get(i).and(axis.points().get(i)));
            }
        }
        return new Axis(name, points);
    }
}
