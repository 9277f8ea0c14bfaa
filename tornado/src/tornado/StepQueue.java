package tornado;

import java.util.List;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The slots and tables of all segments of a batch, as they go to the device at once. A head, and for each segment an entry: how many
 * slots and integers of tables, the counter and the number of the {@link QueueKernels#feed} that takes it; where each slot goes; slots;
 * tables.
 */
final class StepQueue {
    /** Where the next entry is; 0 if there is none. */
    static final int NEXT = 0;

    static final int TICKET = 1;
    /** Where the ticket goes in the output. */
    static final int TAIL = 2;
    /** How many counters follow it, and where they are. */
    static final int COUNTERS = 3;

    static final int FIRST_COUNTER = 4;
    /** Which value goes with every ticket. */
    static final int WATCHED = 5;
    /** The counter of {@link QueueKernels#begin}. */
    static final int BEGIN = 6;

    private static final int FIRST_ENTRY = 8;
    /** Integers of an entry before the places of its slots. */
    static final int HEAD = 4;

    private final IntArray ints;
    private int end = FIRST_ENTRY;

    /** Room for a head and so many integers of entries. */
    StepQueue(int capacity) {
        ints = new IntArray(FIRST_ENTRY + capacity);
    }

    IntArray ints() {
        return ints;
    }

    /** Integers of the entry of a segment. */
    static int entry(int slots, int tables) {
        return HEAD + slots * (1 + Call.SLOT) + tables;
    }

    /** Forgets the last batch. */
    void clear() {
        end = FIRST_ENTRY;
        set(NEXT, FIRST_ENTRY);
    }

    /** Writes one number of the head. */
    void set(int where, int value) {
        ints.set(where, value);
    }

    /**
     * Adds a segment.
     *
     * @param places where each slot goes
     * @param slots their numbers
     */
    void add(int counter, int number, List<Integer> places, int[] slots, List<int[]> tables) {
        int head = end;
        ints.set(end++, places.size());
        end++;
        ints.set(end++, counter);
        ints.set(end++, number);
        for (int place : places) {
            ints.set(end++, place);
        }
        for (int value : slots) {
            ints.set(end++, value);
        }
        int before = end;
        for (int[] table : tables) {
            for (int value : table) {
                ints.set(end++, value);
            }
        }
        ints.set(head + 1, end - before);
    }
}
