package wan.text;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import wan.file.Messages;
import wan.op.FormatException;

/** Prompts in a UTF-8 text file, one per line. */
public final class PromptLines {
    private static final int MAX_FILE_BYTES = 64 << 20;

    private PromptLines() {}

    /** The lines that are not blank, at least one. */
    public static List<String> read(Path file) {
        // Opened once, since a pipe gives its text once.
        try (InputStream in = Files.newInputStream(file)) {
            return read(file, in);
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        }
    }

    /**
     * The lines of a stream that are not blank, at least one.
     *
     * @param file for messages
     */
    public static List<String> read(Path file, InputStream in) {
        try {
            byte[] bytes = in.readNBytes(MAX_FILE_BYTES + 1); // never read to the end of what has none
            if (bytes.length > MAX_FILE_BYTES) {
                throw new FormatException(
                        file, "more than " + MAX_FILE_BYTES + " bytes, too large for a file of prompts");
            }
            if (isUtf16(bytes)) {
                throw new FormatException(
                        file, "expected text in UTF-8, got UTF-16; convert it with iconv -f UTF-16 -t UTF-8");
            }
            String text = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
            if (text.indexOf('\0') >= 0) {
                throw new FormatException(file, "expected text in UTF-8, got a NUL character; is it a binary file?");
            }
            String withoutMark = text.startsWith("\uFEFF") ? text.substring(1) : text;
            List<String> lines =
                    withoutMark.lines().filter(line -> !line.isBlank()).toList();
            if (lines.isEmpty()) {
                throw new FormatException(file, "expected prompts, one per line, got only empty lines");
            }
            return lines;
        } catch (CharacterCodingException e) {
            throw new FormatException(file, "expected text in UTF-8, got other bytes; convert it with iconv?", e);
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        }
    }

    /** UTF-16 with a mark is no UTF-8, and UTF-16 without one would pass for text full of NUL characters. */
    private static boolean isUtf16(byte[] bytes) {
        return bytes.length > 1
                && ((bytes[0] == (byte) 0xff && bytes[1] == (byte) 0xfe)
                        || (bytes[0] == (byte) 0xfe && bytes[1] == (byte) 0xff)
                        || bytes[0] == 0
                        || bytes[1] == 0);
    }
}
