package wan.text;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import wan.op.FormatException;

/**
 * The character map of a SentencePiece model ({@code precompiled_charsmap}): byte sequences and what each becomes, mostly
 * NFKC.
 *
 * <p>Stored as the number of bytes of a double-array trie, the trie's 32-bit units, and the replacements as zero-terminated
 * UTF-8, to which the trie's values are byte offsets.
 */
final class CharacterMap {
    /** The map that changes nothing. */
    static final CharacterMap IDENTITY = new CharacterMap(new int[0], new byte[0]);

    private final int[] units;
    private final byte[] replacements;

    private CharacterMap(int[] units, byte[] replacements) {
        this.units = units;
        this.replacements = replacements;
    }

    /**
     * Reads a map.
     *
     * @param file for messages
     * @param stored as in the model file; nothing at all is {@link #IDENTITY}
     * @throws FormatException if sizes do not fit
     */
    static CharacterMap of(Object file, ByteBuffer stored) {
        if (!stored.hasRemaining()) {
            return IDENTITY;
        }
        ByteBuffer in = stored.slice().order(ByteOrder.LITTLE_ENDIAN);
        long trieBytes = in.remaining() < 4 ? -1 : in.getInt() & 0xFFFF_FFFFL;
        if (trieBytes < 4 || trieBytes % 4 != 0 || trieBytes > in.remaining()) {
            throw new FormatException(
                    file, "broken character map: a trie of " + trieBytes + " bytes in " + stored.remaining());
        }
        int[] units = new int[(int) (trieBytes / 4)];
        in.asIntBuffer().get(units);
        byte[] replacements = new byte[in.remaining() - (int) trieBytes];
        in.position(4 + (int) trieBytes).get(replacements);
        return new CharacterMap(units, replacements);
    }

    /**
     * Replaces, at each place, the longest sequence that the map knows; anything else is copied.
     *
     * @param text without unpaired surrogates
     */
    String apply(String text) {
        if (units.length == 0) {
            return text;
        }
        byte[] in = text.getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream out = new ByteArrayOutputStream(in.length);
        for (int at = 0; at < in.length; ) {
            long match = longestMatch(in, at);
            if (match < 0) {
                int length = characterBytes(in, at);
                out.write(in, at, length);
                at += length;
            } else {
                copyReplacement((int) match, out);
                at += (int) (match >>> 32);
            }
        }
        return out.toString(StandardCharsets.UTF_8);
    }

    /**
     * Replaces as Hugging Face's fast tokenizers do, which look at a user-perceived character of up to five bytes as a whole
     * and let its <em>shortest</em> known beginning stand for all of it.
     *
     * @param grapheme one user-perceived character
     */
    String applyToGrapheme(String grapheme) {
        byte[] whole = grapheme.getBytes(StandardCharsets.UTF_8);
        if (units.length == 0) {
            return grapheme;
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream(whole.length);
        long match = whole.length < 6 ? shortestMatch(whole, 0, whole.length) : -1;
        if (match >= 0) {
            copyReplacement((int) match, out);
            return out.toString(StandardCharsets.UTF_8);
        }
        for (int at = 0; at < whole.length; ) {
            int length = characterBytes(whole, at);
            match = shortestMatch(whole, at, at + length);
            if (match < 0) {
                out.write(whole, at, length);
            } else {
                copyReplacement((int) match, out);
            }
            at += length;
        }
        return out.toString(StandardCharsets.UTF_8);
    }

    private long longestMatch(byte[] in, int start) {
        return match(in, start, in.length, false);
    }

    private long shortestMatch(byte[] in, int start, int end) {
        return match(in, start, end, true);
    }

    /** Offset of the replacement in the low half, length of the key in the high half; -1 for none. */
    private long match(byte[] in, int start, int end, boolean first) {
        long found = -1;
        int position = offset(units[0]);
        for (int at = start; at < end; at++) {
            int label = in[at] & 0xFF;
            position ^= label;
            if (position >= units.length || (units[position] & 0x8000_00FF) != label) {
                break;
            }
            int unit = units[position];
            position ^= offset(unit);
            if (position >= units.length) {
                break;
            }
            if ((unit & 0x100) != 0) {
                found = ((at - start + 1L) << 32) | (units[position] & 0x7FFF_FFFF);
                if (first) {
                    break;
                }
            }
        }
        return found;
    }

    private static int offset(int unit) {
        return (unit >>> 10) << ((unit & 0x200) >>> 6);
    }

    private void copyReplacement(int from, ByteArrayOutputStream out) {
        for (int i = from; i < replacements.length && replacements[i] != 0; i++) {
            out.write(replacements[i]);
        }
    }

    private static int characterBytes(byte[] in, int at) {
        int lead = in[at] & 0xFF;
        int length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
        return Math.min(length, in.length - at);
    }
}
