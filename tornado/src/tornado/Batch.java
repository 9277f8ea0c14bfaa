package tornado;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Segments that run one after the other while the host does not wait: before them it sends all that they need, after them it fetches all
 * that they deliver.
 */
final class Batch {
    /** Integers of slots and tables, floats that go up, floats that come down. */
    record Needs(int queue, int input, int output) {
        static final Needs NONE = new Needs(0, 0, 0);

        /** No batch is larger than this, unless one segment alone is. */
        static final Needs MOST = new Needs(1 << 20, 1 << 22, 1 << 22);

        Needs plus(Needs other) {
            return new Needs(queue + other.queue, input + other.input, output + other.output);
        }

        Needs max(Needs other) {
            return new Needs(
                    Math.max(queue, other.queue), Math.max(input, other.input), Math.max(output, other.output));
        }

        boolean hold(Needs other) {
            return other.queue <= queue && other.input <= input && other.output <= output;
        }
    }

    private final List<Segment> segments = new ArrayList<>();
    private final Map<Segment.Key, List<Integer>> grids = new HashMap<>();
    private Needs needs = Needs.NONE;

    boolean isEmpty() {
        return segments.isEmpty();
    }

    List<Segment> segments() {
        return segments;
    }

    Needs needs() {
        return needs;
    }

    /**
     * Whether a segment may follow without a wait. A graph that runs again must have the same grids: TornadoVM writes those of a task to
     * one pinned place, which the device reads when it gets there ({@code CUDAKernelStackFrame}).
     */
    boolean takes(Segment segment, Needs room) {
        return segments.isEmpty()
                || (room.hold(needs.plus(segment.needs()))
                        && grids.getOrDefault(segment.key(), segment.grids()).equals(segment.grids()));
    }

    void add(Segment segment) {
        segments.add(segment);
        grids.put(segment.key(), segment.grids());
        needs = needs.plus(segment.needs());
    }
}
