package wan.vae;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import wan.op.Convolution;
import wan.op.FrameOps;
import wan.op.FrameOps.Sampling;
import wan.op.Rows;
import wan.op.Shape;
import wan.op.Tensor;

/**
 * Which rows of which frame are computed when, where convolutions follow each other: each as soon as the rows that it needs are there, so
 * that of all frames but the first and the last only a band of rows is ever in memory. Which rows a convolution is asked for at once changes
 * no bit.
 */
final class BandPlan {
    /** Bands are multiples of it, so that no task of a kernel is cut. */
    private static final int ALIGNMENT = 4;

    /** What a step does. */
    @FunctionalInterface
    interface Work {
        /** @param rows of {@code to} that are computed */
        void compute(Tensor from, Tensor to, Rows rows);
    }

    /** A frame at one point of the plan. */
    static final class Frame {
        private final Shape shape;
        private final Room room;
        private @Nullable Step writer;

        private Frame(Shape shape, Room room) {
            this.shape = shape;
            this.room = room;
        }

        private int rows() {
            return shape.dim(1);
        }

        /** Rows that have been computed. */
        private int done() {
            return writer == null ? rows() : writer.done;
        }
    }

    /** The memory of a frame, and of those that follow from it in place. */
    private static final class Room {
        /** Rows that are there at once. */
        private int kept;

        private @Nullable Tensor tensor;

        Tensor tensor() {
            return Objects.requireNonNull(tensor);
        }
    }

    private final class Step {
        final Frame from;
        final Frame to;
        /** What the result is added to, in place; or null. */
        final @Nullable Frame base;

        final Sampling sampling;
        final int kernelRows;
        final Work work;
        int done;

        Step(Frame from, Frame to, @Nullable Frame base, Sampling sampling, int kernelRows, Work work) {
            this.from = from;
            this.to = to;
            this.base = base;
            this.sampling = sampling;
            this.kernelRows = kernelRows;
            this.work = work;
        }

        boolean isDone() {
            return done == to.rows();
        }

        /** The first row that the next call reads. */
        int firstRead() {
            int margin = kernelRows / 2;
            return Math.max(
                    0,
                    switch (sampling) {
                        case SAME -> done - margin;
                        case DOUBLED -> (done - margin) >> 1;
                        case HALVED -> 2 * done;
                    });
        }

        /** How far it can go. */
        int reach(int band) {
            int have = from.done();
            int end = to.rows();
            if (have < from.rows()) {
                end = switch (sampling) {
                    case SAME -> have - kernelRows / 2;
                    case DOUBLED -> 2 * have - kernelRows / 2;
                    case HALVED -> (have - kernelRows) / 2 + 1;
                };
            }
            if (base != null) {
                end = Math.min(end, base.done());
            }
            end = Math.min(end, done + Math.max(ALIGNMENT, band * to.rows() / given.rows()));
            return Math.max(done, end < to.rows() ? end / ALIGNMENT * ALIGNMENT : end);
        }
    }

    private record Call(Step step, Rows rows) {}

    private final Frame given;
    private final List<Step> steps = new ArrayList<>();
    private final List<Call> calls = new ArrayList<>();

    /** @param shape [channels, rows, columns] of what is given */
    BandPlan(Shape shape) {
        given = new Frame(shape, new Room());
    }

    /** What is given, all rows of it. */
    Frame given() {
        return given;
    }

    /** A convolution into a frame of its own. */
    Frame convolved(Frame from, Convolution weights, Sampling sampling, Work work) {
        long rows = from.shape.dim(1);
        long columns = from.shape.dim(2);
        Shape shape = switch (sampling) {
            case SAME -> Shape.of(weights.outChannels(), rows, columns);
            case DOUBLED -> Shape.of(weights.outChannels(), 2 * rows, 2 * columns);
            case HALVED -> Shape.of(weights.outChannels(), rows / 2, columns / 2);
        };
        return step(from, new Frame(shape, new Room()), null, sampling, weights, work);
    }

    /** A convolution that is added to another frame in place. */
    Frame added(Frame from, Convolution weights, Frame base, Work work) {
        return step(from, new Frame(base.shape, base.room), base, Sampling.SAME, weights, work);
    }

    private Frame step(Frame from, Frame to, @Nullable Frame base, Sampling sampling, Convolution weights, Work work) {
        Step step = new Step(from, to, base, sampling, weights.kernelRows(), work);
        to.writer = step;
        steps.add(step);
        return to;
    }

    /**
     * Decides on the order, and allocates the frames between what is given and the result.
     *
     * @param result is wanted whole
     * @param pixels that a call should form at least
     */
    void finish(FrameOps ops, Frame result, int pixels) {
        int band = band(pixels);
        while (result.done() < result.rows()) {
            for (Step step : steps) {
                int end = step.reach(band);
                if (end > step.done) {
                    Room room = step.to.room;
                    room.kept = Math.max(room.kept, end - oldest(room));
                    calls.add(new Call(step, new Rows(step.done, end)));
                    step.done = end;
                }
            }
        }
        result.room.kept = result.rows();
        for (Step step : steps) {
            Room room = step.to.room;
            if (room != given.room && room.tensor == null) {
                room.tensor = ops.allocateBand(step.to.shape, room.kept);
            }
        }
    }

    /** Rows of the frame that is given in a band: as many as make enough pixels of each frame that takes long. */
    private int band(int pixels) {
        long fewest = Long.MAX_VALUE;
        for (Step step : steps) {
            if (step.kernelRows > 1) {
                fewest = Math.min(fewest, (long) step.to.rows() * step.to.shape.dim(2));
            }
        }
        long rows = Math.ceilDiv((long) pixels * given.rows(), fewest);
        return (int) Math.min(given.rows(), Math.ceilDiv(rows, ALIGNMENT) * ALIGNMENT);
    }

    /** The first row of a frame that somebody still needs. */
    private int oldest(Room room) {
        int oldest = Integer.MAX_VALUE;
        for (Step step : steps) {
            if (step.from.room == room && !step.isDone()) {
                oldest = Math.min(oldest, step.firstRead());
            }
            if (step.to.room == room && !step.isDone()) {
                oldest = Math.min(oldest, step.done);
            }
        }
        return oldest;
    }

    /**
     * Computes.
     *
     * @param x of the shape that is given
     */
    void run(Tensor x) {
        given.room.tensor = x;
        for (Call call : calls) {
            Step step = call.step;
            step.work.compute(step.from.room.tensor(), step.to.room.tensor(), call.rows);
        }
    }

    /** What a frame's memory holds after {@link #run}. */
    static Tensor tensor(Frame frame) {
        return frame.room.tensor();
    }
}
