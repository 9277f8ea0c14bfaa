package tornado;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Calls that run as one task graph, with what goes up before them and what comes down after. */
final class Segment {
    /** Tasks of a graph; TornadoVM's own limit is 256. */
    static final int MAX_CALLS = 64;

    /** Which graph runs it: the kernels in order and the arrays they are bound to. */
    record Key(List<Call.Shape> calls) {
        /** The keys of what is recorded with this: where a library is called, those of its other {@link LibraryCall#alternatives}. */
        List<Key> alternatives() {
            Optional<LibraryCall> library = calls.stream()
                    .map(Call.Shape::library)
                    .filter(Objects::nonNull)
                    .filter(call -> call.alternatives().size() > 1)
                    .findFirst();
            if (library.isEmpty()) {
                return List.of(this);
            }
            return library.get().alternatives().stream()
                    .map(other -> new Key(calls.stream()
                            .map(call -> library.get().equals(call.library()) ? call.of(other) : call)
                            .toList()))
                    .toList();
        }
    }

    /** What is taken from the output array when the graph has run. */
    private record Delivery(int count, Consumer<float[]> to) {}

    private final List<Call> calls = new ArrayList<>();
    private final List<float[]> uploads = new ArrayList<>();
    private int uploadFloats;
    private @Nullable Delivery delivery;
    private String layer = "";

    /** Says which layer it ends in, for a message. */
    void in(String name) {
        layer = name;
    }

    /** The layer it ends in, or empty. */
    String layer() {
        return layer;
    }

    boolean isEmpty() {
        return calls.isEmpty();
    }

    boolean hasRoom(int more) {
        return calls.size() + more <= MAX_CALLS;
    }

    void add(Call call) {
        calls.add(call);
    }

    /** Adds values to the input array and says where. */
    int upload(float[] values) {
        int at = uploadFloats;
        uploads.add(values.clone());
        uploadFloats += values.length;
        return at;
    }

    /** The first {@code count} floats of the output array go to {@code to}. */
    void deliver(int count, Consumer<float[]> to) {
        delivery = new Delivery(count, to);
    }

    List<Call> calls() {
        return calls;
    }

    List<float[]> uploads() {
        return uploads;
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

    Key key() {
        return new Key(calls.stream().map(Call::shape).toList());
    }
}
