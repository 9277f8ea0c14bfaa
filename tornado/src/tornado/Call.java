package tornado;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One launch of a kernel.
 *
 * @param first the store it works on besides the activations, if any
 * @param second a second one
 * @param arguments its slot, as the kernel's Javadoc lists it
 * @param tables longer lists of integers; each one's place goes into the slot
 * @param groups work groups
 * @param groupItems items of a group
 */
@SuppressWarnings("ArrayRecordComponent") // never compared: only its shape is
record Call(
        Kernel kernel,
        @Nullable Store first,
        @Nullable Store second,
        int[] arguments,
        List<Table> tables,
        int groups,
        int groupItems) {
    /** Integers of a slot: sixteen of the kernel's own, and what {@link Launches} needs. */
    static final int SLOT = 18;

    /** A list of integers and the argument that says where it is. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Table(int argument, int[] values) {}

    /** What decides which compiled code runs: everything else is in the slot. */
    record Shape(
            Kernel kernel, @Nullable Store first, @Nullable Store second) {}

    /** A call of a kernel with one item per element, on at most one store. */
    static Call elements(Kernel kernel, @Nullable Store store, int items, List<Table> tables, int[] slot) {
        return elements(kernel, store, null, items, tables, slot);
    }

    /** As the other, on two. */
    static Call elements(
            Kernel kernel, @Nullable Store first, @Nullable Store second, int items, List<Table> tables, int[] slot) {
        int groupItems = DeviceTarget.ELEMENT_ITEMS;
        return new Call(kernel, first, second, slot, tables, Math.ceilDiv(items, groupItems), groupItems);
    }

    Shape shape() {
        return new Shape(kernel, first, second);
    }
}
