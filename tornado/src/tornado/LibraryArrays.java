package tornado;

import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import wan.op.DType;

/**
 * The operands of libraries. TornadoVM hands a library the beginning of whole arrays (5.2.0, {@code
 * TornadoVMInterpreter.executeLibraryLaunch}), so they lie in arrays of their own, which all calls of one library share. What has 16
 * bits is a pattern in a {@link ShortArray}: a library sees only where an array is.
 */
final class LibraryArrays {
    private final Map<Library, List<Object>> arrays = new EnumMap<>(Library.class);

    /** One operand, as large as any call needs it. */
    private record Operand(DType dtype, long elements) {
        Object allocate() {
            int length = Math.toIntExact(elements);
            return dtype == DType.F32 ? new FloatArray(length) : new ShortArray(length);
        }
    }

    /**
     * Allocates what these calls need.
     *
     * @param rows the most rows of each call
     */
    LibraryArrays(Map<LibraryCall, Integer> rows) {
        operands(rows)
                .forEach((library, operands) -> arrays.put(
                        library, operands.stream().map(Operand::allocate).toList()));
    }

    /** Bytes of what the constructor would allocate. */
    static long bytes(Map<LibraryCall, Integer> rows) {
        long bytes = 0;
        for (List<Operand> operands : operands(rows).values()) {
            for (Operand operand : operands) {
                bytes += operand.dtype().bytes(operand.elements());
            }
        }
        return bytes;
    }

    private static Map<Library, List<Operand>> operands(Map<LibraryCall, Integer> rows) {
        Map<Library, List<Operand>> most = new EnumMap<>(Library.class);
        rows.forEach((call, count) -> {
            List<DType> types = call.types();
            List<Long> elements = call.elements(count);
            List<Operand> operands = most.computeIfAbsent(
                    call.library(),
                    library -> new ArrayList<>(Collections.nCopies(types.size(), new Operand(DType.F16, 0))));
            for (int i = 0; i < types.size(); i++) {
                operands.set(
                        i, new Operand(types.get(i), Math.max(operands.get(i).elements(), elements.get(i))));
            }
        });
        return most;
    }

    /** All arrays. */
    List<Object> all() {
        return arrays.values().stream().flatMap(List::stream).toList();
    }

    /** Those of one library, in the order of {@link LibraryCall#elements}. */
    List<Object> of(Library library) {
        return arrays.getOrDefault(library, List.of());
    }
}
