package wan.file.torch;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import wan.op.FormatException;

/**
 * Reads one pickle, protocols 0 to 5, into plain data. Nothing in it is ever run.
 *
 * <p>What comes out: {@link PyNone}, Boolean, Long (BigInteger beyond it), Double, String, byte[], List, {@link PyTuple}, Map,
 * Set, {@link PyGlobal}, and whatever {@link PickleWorld} makes of the names it knows. The format is that of CPython's
 * {@code Lib/pickletools.py}; opcodes that torch.save cannot emit are refused by name.
 *
 * <p>There is no recursion, every count is checked against what the file still holds, and what is copied is paid for from a
 * budget, so that time and memory are bounded by the limits below whatever the bytes are.
 */
final class Unpickler {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfDouble DOUBLE =
            ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    /** A tensor takes about 25 opcodes and 12 objects: these are enough for 160,000 tensors. */
    private static final int MAX_OPCODES = 16_000_000;

    private static final int MAX_OBJECTS = 2_000_000;
    private static final int MAX_MEMO = 2_000_000;
    private static final int MAX_MARKS = 1000;
    private static final long MAX_TEXT_BYTES = 64L << 20;
    private static final int MAX_INTEGER_BYTES = 1024;
    private static final int MAX_LINE_BYTES = 1024;

    private final Object file;
    private final MemorySegment in;
    private final PickleWorld world;
    private final long start;
    private long at;

    private final List<Object> stack = new ArrayList<>();
    private final int[] marks = new int[MAX_MARKS];
    private int markCount;
    private final Map<Long, Object> memo = new HashMap<>();
    private long objects;
    private long textBytes;

    /**
     * Ready to read.
     *
     * @param file for messages
     * @param in bytes that hold the pickle
     * @param start where it begins
     * @param world the names that are known
     */
    Unpickler(Object file, MemorySegment in, long start, PickleWorld world) {
        this.file = file;
        this.in = in;
        this.start = start;
        this.at = start;
        this.world = world;
    }

    /** The byte after the pickle, once it is read. */
    long position() {
        return at;
    }

    /**
     * The value that the pickle leaves.
     *
     * @throws FormatException if it is broken, too large, or asks for anything but data
     */
    Object read() {
        for (int i = 0; i < MAX_OPCODES; i++) {
            int opcode = u8();
            if (opcode == '.') {
                if (stack.size() != 1 || markCount != 0) {
                    throw broken("ends with " + stack.size() + " values instead of one");
                }
                return stack.getFirst();
            }
            execute(opcode);
            if (stack.size() > MAX_OBJECTS) {
                throw broken("has more than " + MAX_OBJECTS + " values at once");
            }
        }
        throw broken("has more than " + MAX_OPCODES + " opcodes");
    }

    private void execute(int opcode) {
        switch (opcode) {
            case 0x80 -> { // PROTO
                int protocol = u8();
                if (protocol > 5) {
                    throw broken("is of protocol " + protocol + "; 0 to 5 are known");
                }
            }
            case 0x95 -> skipFrame(); // FRAME
            // Constants
            case 'N' -> push(PyNone.NONE);
            case 0x88 -> push(true); // NEWTRUE
            case 0x89 -> push(false); // NEWFALSE
            case 'K' -> push((long) u8()); // BININT1
            case 'M' -> push(in.get(SHORT, take(2)) & 0xffffL); // BININT2
            case 'J' -> push((long) in.get(INT, take(4))); // BININT
            case 0x8a -> push(integer(u8())); // LONG1
            case 0x8b -> push(integer(in.get(INT, take(4)))); // LONG4
            case 'I' -> pushIntLine();
            case 'L' -> push(parseInteger(line().replaceFirst("L$", "")));
            case 'G' -> push(in.get(DOUBLE, take(8))); // BINFLOAT
            case 'F' -> push(parseDouble(line()));
            // Text and bytes
            case 0x8c -> push(utf8(u8())); // SHORT_BINUNICODE
            case 'X' -> push(utf8(u32())); // BINUNICODE
            case 0x8d -> push(utf8(in.get(LONG, take(8)))); // BINUNICODE8
            case 'U' -> push(latin1(u8())); // SHORT_BINSTRING
            case 'T' -> push(latin1(in.get(INT, take(4)))); // BINSTRING
            case 'C' -> push(bytes(u8())); // SHORT_BINBYTES
            case 'B' -> push(bytes(u32())); // BINBYTES
            case 0x8e, 0x96 -> push(bytes(in.get(LONG, take(8)))); // BINBYTES8, BYTEARRAY8
            // Containers
            case '(' -> mark();
            case ')' -> push(new PyTuple(List.of()));
            case 0x85 -> push(new PyTuple(popped(1))); // TUPLE1
            case 0x86 -> push(new PyTuple(popped(2))); // TUPLE2
            case 0x87 -> push(new PyTuple(popped(3))); // TUPLE3
            case 't' -> push(new PyTuple(poppedToMark()));
            case ']' -> push(new ArrayList<>());
            case 'l' -> push(new ArrayList<>(poppedToMark()));
            case 'a' -> appendTo(popped(1));
            case 'e' -> appendTo(poppedToMark());
            case '}' -> push(new LinkedHashMap<>());
            case 'd' -> pushDict(poppedToMark());
            case 's' -> putInto(popped(2));
            case 'u' -> putInto(poppedToMark());
            case 0x8f -> push(new LinkedHashSet<>()); // EMPTY_SET
            case 0x90 -> addTo(poppedToMark()); // ADDITEMS
            case 0x91 -> push(world.set(this, poppedToMark())); // FROZENSET
            // Stack and memo
            case '0' -> pop();
            case '1' -> poppedToMark(); // POP_MARK
            case '2' -> push(top()); // DUP
            case 'q' -> remember(u8()); // BINPUT
            case 'r' -> remember(u32()); // LONG_BINPUT
            case 'p' -> remember(parseLong(line())); // PUT
            case 0x94 -> remember(memo.size()); // MEMOIZE
            case 'h' -> recall(u8()); // BINGET
            case 'j' -> recall(u32()); // LONG_BINGET
            case 'g' -> recall(parseLong(line())); // GET
            // Names, and what is made of them
            case 'c' -> push(world.global(this, line(), line())); // GLOBAL
            case 0x93 -> { // STACK_GLOBAL
                List<Object> names = popped(2);
                if (!(names.get(0) instanceof String module) || !(names.get(1) instanceof String name)) {
                    throw broken("names a class by something that is not text");
                }
                push(world.global(this, module, name));
            }
            case 'R', 0x81 -> { // REDUCE, NEWOBJ
                List<Object> call = popped(2);
                if (!(call.get(1) instanceof PyTuple arguments)) {
                    throw broken("calls " + PickleWorld.kind(call.get(0)) + " with something that is not a tuple");
                }
                push(world.call(this, call.get(0), arguments));
            }
            case 0x92 -> { // NEWOBJ_EX
                List<Object> call = popped(3);
                push(world.call(this, call.get(0), new PyTuple(call)));
            }
            case 'i' -> { // INST
                PyGlobal callee = world.global(this, line(), line());
                push(world.call(this, callee, new PyTuple(poppedToMark())));
            }
            case 'b' -> { // BUILD
                Object state = pop();
                world.build(this, top(), state);
            }
            case 'Q' -> push(world.persistent(this, pop())); // BINPERSID
            default -> throw broken("uses the opcode " + opcodeName(opcode) + ", which torch.save does not write");
        }
    }

    private static String opcodeName(int opcode) {
        return switch (opcode) {
            case 'o' -> "OBJ";
            case 'P' -> "PERSID";
            case 'S' -> "STRING";
            case 'V' -> "UNICODE";
            case 0x82, 0x83, 0x84 -> "EXT";
            case 0x97 -> "NEXT_BUFFER";
            case 0x98 -> "READONLY_BUFFER";
            default -> String.format(Locale.ROOT, "0x%02x", opcode);
        };
    }

    /** A failure at the opcode being read. */
    FormatException broken(String problem) {
        return new FormatException(file, "the pickle " + problem + " (before byte " + (at - start) + " of it)");
    }

    /** Pays for objects that are copied, not read: a pickle can ask for the same copy again and again. */
    void charge(long newObjects, long newTextBytes) {
        objects += newObjects;
        textBytes += newTextBytes;
        if (objects > MAX_OBJECTS) {
            throw broken("makes more than " + MAX_OBJECTS + " objects");
        }
        if (textBytes > MAX_TEXT_BYTES) {
            throw broken("holds more than " + (MAX_TEXT_BYTES >> 20) + " MiB of text");
        }
    }

    // ---- bytes

    private long take(long count) {
        if (count < 0 || count > in.byteSize() - at) {
            throw broken("claims " + count + " bytes where " + (in.byteSize() - at)
                    + " are left; an unfinished download? fetch the file again");
        }
        long from = at;
        at += count;
        return from;
    }

    private int u8() {
        return in.get(ValueLayout.JAVA_BYTE, take(1)) & 0xff;
    }

    private long u32() {
        return in.get(INT, take(4)) & 0xffff_ffffL;
    }

    private byte[] bytes(long count) {
        long from = take(count);
        charge(1, count);
        return in.asSlice(from, count).toArray(ValueLayout.JAVA_BYTE);
    }

    private String utf8(long count) {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes(count)))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new FormatException(file, "the pickle has text that is not UTF-8 before byte " + (at - start), e);
        }
    }

    private String latin1(long count) {
        return new String(bytes(count), StandardCharsets.ISO_8859_1);
    }

    private String line() {
        long end = at;
        while (end < in.byteSize() && end - at <= MAX_LINE_BYTES && in.get(ValueLayout.JAVA_BYTE, end) != '\n') {
            end++;
        }
        if (end == in.byteSize() || end - at > MAX_LINE_BYTES) {
            throw broken("has a line without an end");
        }
        String line = utf8(end - at);
        at++;
        return line;
    }

    private void skipFrame() {
        long frameBytes = in.get(LONG, take(8));
        if (frameBytes < 0 || frameBytes > in.byteSize() - at) {
            throw broken("claims a frame of " + Long.toUnsignedString(frameBytes)
                    + " bytes; an unfinished download? fetch the file again");
        }
    }

    // ---- numbers

    private Object integer(int count) {
        if (count < 0 || count > MAX_INTEGER_BYTES) {
            throw broken(
                    "has an integer of " + Integer.toUnsignedString(count) + " bytes; at most " + MAX_INTEGER_BYTES);
        }
        byte[] littleEndian = bytes(count);
        byte[] bigEndian = new byte[count];
        for (int i = 0; i < count; i++) {
            bigEndian[i] = littleEndian[count - 1 - i];
        }
        return count == 0 ? (Object) 0L : narrow(new BigInteger(bigEndian));
    }

    private static Object narrow(BigInteger value) {
        return value.bitLength() < Long.SIZE ? (Object) value.longValue() : value;
    }

    /** INT; its two-digit forms are how protocols 0 and 1 write booleans. */
    private void pushIntLine() {
        String line = line();
        switch (line) {
            case "00" -> push(false);
            case "01" -> push(true);
            default -> push(parseInteger(line));
        }
    }

    private Object parseInteger(String digits) {
        try {
            return narrow(new BigInteger(digits));
        } catch (NumberFormatException e) {
            throw new FormatException(file, "the pickle has an integer that is none before byte " + (at - start), e);
        }
    }

    private long parseLong(String digits) {
        if (parseInteger(digits) instanceof Long value) {
            return value;
        }
        throw broken("has a memo index out of range");
    }

    private Object parseDouble(String text) {
        try {
            return switch (text.toLowerCase(Locale.ROOT)) {
                case "inf" -> Double.POSITIVE_INFINITY;
                case "-inf" -> Double.NEGATIVE_INFINITY;
                case "nan" -> Double.NaN;
                default -> Double.valueOf(text);
            };
        } catch (NumberFormatException e) {
            throw new FormatException(file, "the pickle has a float that is none before byte " + (at - start), e);
        }
    }

    // ---- stack

    private void push(Object value) {
        charge(1, 0);
        stack.add(value);
    }

    private int floor() {
        return markCount == 0 ? 0 : marks[markCount - 1];
    }

    private Object top() {
        if (stack.size() <= floor()) {
            throw broken("takes a value from an empty stack");
        }
        return stack.getLast();
    }

    private Object pop() {
        Object value = top();
        stack.removeLast();
        return value;
    }

    private List<Object> popped(int count) {
        if (stack.size() - count < floor()) {
            throw broken("takes " + count + " values from a stack of " + (stack.size() - floor()));
        }
        return cut(stack.size() - count);
    }

    private void mark() {
        if (markCount == MAX_MARKS) {
            throw broken("is nested more than " + MAX_MARKS + " deep");
        }
        marks[markCount++] = stack.size();
    }

    private List<Object> poppedToMark() {
        if (markCount == 0) {
            throw broken("goes back to a mark that was never set");
        }
        return cut(marks[--markCount]);
    }

    private List<Object> cut(int from) {
        List<Object> tail = stack.subList(from, stack.size());
        List<Object> values = List.copyOf(tail);
        tail.clear();
        return values;
    }

    private void remember(long index) {
        if (memo.size() >= MAX_MEMO) {
            throw broken("remembers more than " + MAX_MEMO + " values");
        }
        memo.put(index, top());
    }

    private void recall(long index) {
        Object value = memo.get(index);
        if (value == null) {
            throw broken("recalls value " + index + ", which it never remembered");
        }
        push(value);
    }

    // ---- containers

    private void appendTo(Collection<Object> values) {
        if (top() instanceof PyOpaque) {
            return; // a subclass of list keeps nothing that matters here
        }
        if (!(top() instanceof ArrayList<?>)) {
            throw broken("appends to " + PickleWorld.kind(top()) + ", not to a list");
        }
        @SuppressWarnings("unchecked") // every list of ours is an ArrayList<Object>
        List<Object> list = (List<Object>) top();
        list.addAll(values);
    }

    private void addTo(Collection<Object> values) {
        if (top() instanceof PyOpaque) {
            return;
        }
        if (!(top() instanceof LinkedHashSet<?>)) {
            throw broken("adds to " + PickleWorld.kind(top()) + ", not to a set");
        }
        @SuppressWarnings("unchecked") // every set of ours is a LinkedHashSet<Object>
        LinkedHashSet<Object> set = (LinkedHashSet<Object>) top();
        values.forEach(value -> set.add(world.key(this, value)));
    }

    private void pushDict(List<Object> keysAndValues) {
        push(new LinkedHashMap<>());
        putInto(keysAndValues);
    }

    private void putInto(List<Object> keysAndValues) {
        if (!(top() instanceof LinkedHashMap<?, ?>) && !(top() instanceof PyOpaque)) {
            throw broken("puts an item into " + PickleWorld.kind(top()) + ", not into a dict");
        }
        if (keysAndValues.size() % 2 != 0) {
            throw broken("puts a key without a value into a dict");
        }
        @SuppressWarnings("unchecked") // every map of ours is a LinkedHashMap<Object, Object>
        Map<Object, Object> map = top() instanceof PyOpaque opaque ? opaque.items() : (Map<Object, Object>) top();
        for (int i = 0; i < keysAndValues.size(); i += 2) {
            map.put(world.key(this, keysAndValues.get(i)), keysAndValues.get(i + 1));
        }
    }
}
