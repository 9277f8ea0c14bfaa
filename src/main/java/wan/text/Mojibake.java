package wan.text;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Undoes the commonest mojibake: UTF-8 that somebody read as Latin-1 or Windows-1252 ({@code cafÃ©}).
 *
 * <p>A narrow part of what ftfy repairs. A text is taken for mojibake only if all of it has a byte in that encoding, the bytes are
 * valid UTF-8, and they show a pattern that honest text hardly ever has: a character that began with Â or Ã, one of three or
 * four bytes, or at least two others. One lone pair such as {@code Å™} proves nothing and stays.
 */
final class Mojibake {
    private Mojibake() {}

    /** The repaired text, or the text itself where nothing is to be repaired. */
    static String repair(String text) {
        byte[] bytes = encode(text);
        return bytes != null && isConvincing(bytes) ? decode(restoreNoBreakSpaces(bytes), text) : text;
    }

    private static byte @Nullable [] encode(String text) {
        ByteArrayOutputStream out = new ByteArrayOutputStream(text.length());
        boolean ascii = true;
        for (int i = 0; i < text.length(); i++) {
            int code = Windows1252.encode(text.charAt(i));
            if (code < 0) {
                return null;
            }
            ascii &= code < 0x80;
            out.write(code);
        }
        return ascii ? null : out.toByteArray();
    }

    /**
     * Text that was mis-decoded has often lost its no-break spaces to plain ones, and with them the second byte of à. A space
     * that only stood there because à is a word of its own is given back too.
     */
    private static byte[] restoreNoBreakSpaces(byte[] bytes) {
        ByteArrayOutputStream out = new ByteArrayOutputStream(bytes.length);
        for (int i = 0; i < bytes.length; i++) {
            out.write(bytes[i]);
            if ((bytes[i] & 0xFF) == 0xC3 && i + 1 < bytes.length && bytes[i + 1] == ' ') {
                out.write(0xA0);
                i++;
                if (i + 1 < bytes.length && bytes[i + 1] != ' ') {
                    out.write(' ');
                }
            }
        }
        return out.toByteArray();
    }

    private static boolean isConvincing(byte[] bytes) {
        int pairs = 0;
        for (int i = 0; i + 1 < bytes.length; i++) {
            int lead = bytes[i] & 0xFF;
            boolean continues = (bytes[i + 1] & 0xC0) == 0x80;
            if (continues && (lead == 0xC2 || lead == 0xC3 || lead >= 0xE0)) {
                return true;
            }
            pairs += continues && lead >= 0xC4 ? 1 : 0;
        }
        return pairs >= 2;
    }

    private static String decode(byte[] bytes, String otherwise) {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException _) {
            return otherwise;
        }
    }
}
