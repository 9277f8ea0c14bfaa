package wan.file;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;
import wan.op.FormatException;

/**
 * A file that only grows: one JSON object per line, each after its checksum. If the program is killed at any instant, all
 * complete lines are still valid.
 *
 * <pre>{@code 9ae0daaf {"passes":5}}</pre>
 */
final class Journal {
    private static final int CHECKSUM_CHARS = 8;

    private Journal() {}

    /**
     * What was recorded, up to the first line that is not whole.
     *
     * @param records in order
     * @param ends the byte after each of them
     */
    record Contents(List<ObjectNode> records, List<Long> ends) {}

    /**
     * Reads a journal.
     *
     * @param file for messages
     * @throws FormatException if it is larger than any journal
     */
    static Contents read(Object file, FileChannel channel) throws IOException {
        if (channel.size() > StrictJson.MAX_BYTES) {
            throw new FormatException(
                    file, "expected at most " + StrictJson.MAX_BYTES + " bytes, got " + channel.size());
        }
        ByteBuffer bytes = ByteBuffer.allocate((int) channel.size());
        while (bytes.hasRemaining() && channel.read(bytes, bytes.position()) >= 0) {
            // until it is full, or the file shorter than it was
        }
        byte[] text = bytes.array();
        List<ObjectNode> records = new ArrayList<>();
        List<Long> ends = new ArrayList<>();
        int start = 0;
        for (int end = 0; end < bytes.position(); end++) {
            if (text[end] == '\n') {
                ObjectNode node = parse(file, text, start, end);
                if (node == null) {
                    break;
                }
                records.add(node);
                ends.add(end + 1L);
                start = end + 1;
            }
        }
        return new Contents(records, ends);
    }

    private static @Nullable ObjectNode parse(Object file, byte[] text, int from, int to) {
        int json = from + CHECKSUM_CHARS + 1;
        if (json > to) {
            return null;
        }
        String expected = new String(text, from, CHECKSUM_CHARS + 1, StandardCharsets.ISO_8859_1);
        if (!expected.equals(checksum(text, json, to - json) + " ")) {
            return null;
        }
        try {
            JsonNode node = StrictJson.tree(file, Arrays.copyOfRange(text, json, to));
            return node instanceof ObjectNode object ? object : null;
        } catch (FormatException e) {
            return null;
        }
    }

    /** A line as it is appended. */
    static ByteBuffer line(ObjectNode node) {
        byte[] json = JsonMapper.shared().writeValueAsBytes(node);
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        line.writeBytes((checksum(json, 0, json.length) + " ").getBytes(StandardCharsets.US_ASCII));
        line.writeBytes(json);
        line.write('\n');
        return ByteBuffer.wrap(line.toByteArray());
    }

    private static String checksum(byte[] bytes, int from, int count) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, from, count);
        return HexFormat.of().toHexDigits((int) crc.getValue());
    }
}
