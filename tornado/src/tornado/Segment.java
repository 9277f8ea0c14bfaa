package tornado;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Calls that run as one task graph, with what goes up before them and what comes down after. */
final class Segment {
    /** Tasks of a graph; TornadoVM's own limit is 256. */
    static final int MAX_CALLS = 64;

    /** Which graph runs it: the kernels in order and the arrays they are bound to. */
    record Key(List<Call.Shape> calls) {}

    /** What is taken from the output array when the graph has run. */
    private record Delivery(int count, Consumer<float[]> to) {}

    /** Values that go to a place among the activations. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Upload(int to, float[] values) {
        boolean overlaps(int offset, int count) {
            return offset < to + values.length && to < offset + count;
        }
    }

    private final List<Call> calls = new ArrayList<>();
    private final List<Upload> uploads = new ArrayList<>();
    private int uploadFloats;
    /** Where the activations begin that no call has touched. */
    private int untouched;

    private @Nullable Delivery delivery;
    private String layer = "";
    private @Nullable Key key;

    /**
     * Nothing more will be added.
     *
     * @param name the layer it ends in, for a message
     */
    void end(String name) {
        layer = name;
        if (!uploads.isEmpty()) {
            calls.addFirst(uploading());
        }
    }

    /** One call for all that goes up. Its table has the end of each part in the input, and how much further its place is. */
    private Call uploading() {
        int[] parts = new int[2 * uploads.size()];
        int end = 0;
        for (int i = 0; i < uploads.size(); i++) {
            Upload upload = uploads.get(i);
            parts[2 * i + 1] = upload.to() - end;
            end += upload.values().length;
            parts[2 * i] = end;
        }
        int[] slot = {end, 0, 0};
        return Call.elements(Kernel.UPLOAD, null, end, List.of(new Call.Table(1, parts)), slot);
    }

    /** The layer it ends in, or empty. */
    String layer() {
        return layer;
    }

    boolean isEmpty() {
        return calls.isEmpty() && uploads.isEmpty();
    }

    boolean hasRoom(int more) {
        return calls.size() + (uploads.isEmpty() ? 0 : 1) + more <= MAX_CALLS;
    }

    /**
     * Adds a call.
     *
     * @param top of the activations that there are by now: all that it touches is below
     */
    void add(Call call, int top) {
        calls.add(call);
        untouched = Math.max(untouched, top);
    }

    /** The call that was added last, if any. */
    @Nullable
    Call last() {
        return calls.isEmpty() ? null : calls.getLast();
    }

    /** Takes back the call that was added last, for one that does its work too. */
    void removeLast() {
        calls.removeLast();
    }

    /** Whether values may go there before all calls. */
    boolean takesUpload(int offset, int count) {
        return hasRoom(uploads.isEmpty() ? 1 : 0)
                && (calls.isEmpty() || offset >= untouched)
                && uploads.stream().noneMatch(upload -> upload.overlaps(offset, count));
    }

    /** Sends values to a place among the activations, before all calls. */
    void upload(int offset, float[] values) {
        uploads.add(new Upload(offset, values.clone()));
        uploadFloats += values.length;
    }

    /** The first {@code count} floats of the output array go to {@code to}. */
    void deliver(int count, Consumer<float[]> to) {
        delivery = new Delivery(count, to);
    }

    List<Call> calls() {
        return calls;
    }

    List<float[]> uploads() {
        return uploads.stream().map(Upload::values).toList();
    }

    int uploadFloats() {
        return uploadFloats;
    }

    int downloadFloats() {
        return delivery == null ? 0 : delivery.count();
    }

    Consumer<float[]> receiver() {
        return delivery == null ? ignored -> {} : delivery.to();
    }

    /** The same object for as long as nothing is added. */
    Key key() {
        Key known = key;
        if (known == null || known.calls().size() != calls.size()) {
            known = new Key(calls.stream().map(Call::shape).toList());
            key = known;
        }
        return known;
    }

    /** The groups of each call, and the items of a group. */
    List<Integer> grids() {
        return calls.stream()
                .flatMap(call -> Stream.of(call.groups(), call.groupItems()))
                .toList();
    }

    /** Its tables in the order of their places; calls share them. */
    List<int[]> tables() {
        return calls.stream()
                .flatMap(call -> call.tables().stream())
                .map(Call.Table::values)
                .distinct() // arrays are compared by identity
                .toList();
    }

    /** What it takes of the queue, the input and the output. */
    Batch.Needs needs() {
        int tables = tables().stream().mapToInt(table -> table.length).sum();
        return new Batch.Needs(StepQueue.entry(calls.size(), tables), uploadFloats, downloadFloats());
    }
}
