package tornado;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import wan.op.Float8;
import wan.op.HalfFormat;

/** The small parameters (biases, norm weights, tables, constants) in one array. Position 0 is 0. */
final class Parameters {
    /** The reference's table is as long. */
    private static final int ROPE_POSITIONS = 1024;

    private float[] values = new float[1024];
    private int count = 1;
    /** What is going to be added, as a rehearsal has seen it. */
    private float @Nullable [] expected;

    private final Map<Float, Integer> constants = new HashMap<>();
    private final Map<List<Integer>, Integer> ropeTables = new HashMap<>();
    private final Map<HalfFormat, Integer> halfTables = new EnumMap<>(HalfFormat.class);
    private int byteTable;

    /** Adds values and says where. */
    int add(float... more) {
        int at = count;
        if (count + more.length > values.length) {
            values = Arrays.copyOf(values, Math.max(2 * values.length, count + more.length));
        }
        System.arraycopy(more, 0, values, at, more.length);
        count += more.length;
        if (!areAsExpected(at)) {
            expected = null;
        }
        return at;
    }

    /** Adds values that begin at a multiple of 16 bytes, as libraries want them. */
    int addAligned(float... more) {
        while (count % 4 != 0) {
            int _ = add(0f);
        }
        return add(more);
    }

    /** Says what is going to be added, from the first value on. */
    void expect(float[] all) {
        expected = all;
        if (!areAsExpected(0)) {
            expected = null;
        }
    }

    /** Whether all so far is what was expected, if anything was. */
    boolean areAsExpected() {
        return expected != null;
    }

    private boolean areAsExpected(int from) {
        return expected == null
                || (count <= expected.length && Arrays.mismatch(values, from, count, expected, from, count) < 0);
    }

    /** Where this number stands: kernels take only integers. */
    int constant(float value) {
        return constants.computeIfAbsent(value, v -> add(v));
    }

    /**
     * Cosine and sine of position * 10000^(-j/pairs), [positions][pairs][2], computed in double.
     *
     * @param least how many positions it has at least; the table of a longer video is a new one, of twice the length
     */
    int ropeTable(int pairs, int least) {
        int positions = Math.max(ROPE_POSITIONS, Integer.highestOneBit(Math.max(1, least - 1)) * 2);
        return ropeTables.computeIfAbsent(List.of(pairs, positions), key -> {
            int p = pairs;
            float[] table = new float[2 * positions * p];
            for (int position = 0; position < positions; position++) {
                for (int j = 0; j < p; j++) {
                    double angle = position * Math.pow(10_000, -(double) j / p);
                    table[2 * (position * p + j)] = (float) Math.cos(angle);
                    table[2 * (position * p + j) + 1] = (float) Math.sin(angle);
                }
            }
            return add(table);
        });
    }

    /** The value of every 16-bit pattern, read as an unsigned number. */
    int halfTable(HalfFormat format) {
        return halfTables.computeIfAbsent(format, f -> {
            float[] table = new float[1 << 16];
            for (int pattern = 0; pattern < table.length; pattern++) {
                table[pattern] = f.widen((short) pattern);
            }
            return add(table);
        });
    }

    /** The value of every 8-bit pattern, read as an unsigned number. */
    int byteTable() {
        if (byteTable == 0) {
            float[] table = new float[1 << 8];
            for (int pattern = 0; pattern < table.length; pattern++) {
                table[pattern] = Float8.widen((byte) pattern);
            }
            byteTable = add(table);
        }
        return byteTable;
    }

    int count() {
        return count;
    }

    /** All values, those that are still to come among them where they are known. */
    float[] values() {
        return expected != null ? expected.clone() : Arrays.copyOf(values, count);
    }
}
