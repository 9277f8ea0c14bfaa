package wan.text;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import wan.op.FormatException;

/**
 * Walks the fields of one protobuf message; what the caller does not know it passes over.
 *
 * <pre>{@code
 * while (message.next()) {
 *     switch (message.field()) {
 *         case 1 -> name = message.text();
 *     }
 * }
 * }</pre>
 *
 * <p>A value of another wire type than asked for, and any length beyond the message, is a {@link FormatException}.
 */
final class Protobuf {
    private static final int VARINT = 0;
    private static final int FIXED64 = 1;
    private static final int BYTES = 2;
    private static final int FIXED32 = 5;

    private final Object file;
    private final ByteBuffer in;
    private int field;
    private int wireType;
    private long scalar;
    private ByteBuffer payload = ByteBuffer.allocate(0);

    /**
     * A message.
     *
     * @param file for messages
     * @param bytes all of the message
     */
    Protobuf(Object file, ByteBuffer bytes) {
        this.file = file;
        this.in = bytes.slice().order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Reads the next field; false at the end of the message. */
    boolean next() {
        if (!in.hasRemaining()) {
            return false;
        }
        long key = varint();
        field = (int) (key >>> 3);
        wireType = (int) (key & 7);
        if (key >>> 3 == 0 || key >>> 3 > 0x1FFF_FFFFL) {
            throw broken("field number " + (key >>> 3));
        }
        switch (wireType) {
            case VARINT -> scalar = varint();
            case FIXED64 -> scalar = take(8).getLong();
            case FIXED32 -> scalar = take(4).getInt();
            case BYTES -> {
                long length = varint();
                if (length < 0 || length > in.remaining()) {
                    throw broken("a length of " + Long.toUnsignedString(length) + " bytes where " + in.remaining()
                            + " are left");
                }
                payload = take((int) length);
            }
            default -> throw broken("wire type " + wireType);
        }
        return true;
    }

    /** Number of the present field. */
    int field() {
        return field;
    }

    /** The value of the present field as a message. */
    Protobuf message() {
        return new Protobuf(file, bytes());
    }

    /** The value of the present field as it stands. */
    ByteBuffer bytes() {
        expect(BYTES, "bytes");
        return payload.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    }

    /** The value of the present field as text. */
    String text() {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(bytes()).toString();
        } catch (CharacterCodingException e) {
            throw new FormatException(file, "field " + field + " is not valid UTF-8", e);
        }
    }

    /** The value of the present field as an integer; what is beyond an int is an error. */
    int integer() {
        expect(VARINT, "an integer");
        if (scalar != (int) scalar) {
            throw broken("the value " + scalar);
        }
        return (int) scalar;
    }

    /** The value of the present field as a truth value. */
    boolean bool() {
        return integer() != 0;
    }

    /** The value of the present field as a float. */
    float number() {
        expect(FIXED32, "a float");
        return Float.intBitsToFloat((int) scalar);
    }

    private void expect(int type, String name) {
        if (wireType != type) {
            throw broken("wire type " + wireType + " where " + name + " should stand");
        }
    }

    private ByteBuffer take(int length) {
        if (length > in.remaining()) {
            throw broken("the end of the message inside of a value");
        }
        ByteBuffer out = in.slice(in.position(), length).order(ByteOrder.LITTLE_ENDIAN);
        in.position(in.position() + length);
        return out;
    }

    private long varint() {
        long value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            if (!in.hasRemaining()) {
                throw broken("the end of the message inside of a number");
            }
            byte next = in.get();
            value |= (next & 0x7FL) << shift;
            if (next >= 0) {
                return value;
            }
        }
        throw broken("a number of more than 10 bytes");
    }

    private FormatException broken(String got) {
        return new FormatException(
                file,
                "not a SentencePiece model, or a broken one: " + got + " (field " + field + ", byte " + in.position()
                        + ")");
    }
}
