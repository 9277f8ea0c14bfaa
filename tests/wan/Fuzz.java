package wan;

import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import wan.op.WanException;

/**
 * Damages files and watches a reader take them: it reads them or refuses them in one short line, in bounded time and memory, and never
 * fails in another way. The same seed damages the same way.
 */
public final class Fuzz {
    private static final long MOST_NANOS = 5_000_000_000L;
    private static final long SMALL_BYTES = 64L << 20;
    private static final int MOST_CHARACTERS = 2000;
    private static final List<String> TOKENS = List.of(
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "null",
            "true",
            "0",
            "-1",
            "1e99",
            "2147483647",
            "4294967296",
            "9223372036854775807",
            "18446744073709551616",
            "NaN",
            "\"\"",
            "[]",
            "{}",
            "[[[[[[[[",
            "\\u0000",
            "\\ud800",
            "(",
            "*",
            "(a+)+",
            "\0",
            "\ufeff",
            "9999",
            "1048576");

    private final SplittableRandom random;

    public Fuzz(long seed) {
        random = new SplittableRandom(seed);
    }

    /** A reader. */
    @FunctionalInterface
    public interface Reader {
        void read(byte[] file) throws Exception;
    }

    /** Whether the reader took the file; an {@link AssertionError} if it did anything but that or refuse it. */
    public static boolean takes(byte[] file, Reader reader) {
        var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        long bytes = threads.getCurrentThreadAllocatedBytes();
        long start = threads.getCurrentThreadCpuTime(); // not the clock: the machine may be busy with something else
        boolean taken = true;
        try {
            reader.read(file);
        } catch (WanException e) {
            taken = false;
            String message = String.valueOf(e.getMessage());
            if (message.length() > MOST_CHARACTERS || message.contains("\n")) {
                throw new AssertionError("message " + message, e);
            }
        } catch (Exception | StackOverflowError | OutOfMemoryError e) {
            throw new AssertionError(shown(file), e);
        }
        long nanos = threads.getCurrentThreadCpuTime() - start;
        bytes = threads.getCurrentThreadAllocatedBytes() - bytes;
        if (nanos > MOST_NANOS || bytes > SMALL_BYTES + 10L * file.length) {
            throw new AssertionError(nanos / 1_000_000 + " ms, " + (bytes >> 20) + " MB for " + shown(file));
        }
        return taken;
    }

    private static String shown(byte[] file) {
        return file.length + " bytes: "
                + new String(file, 0, Math.min(file.length, 20_000), StandardCharsets.ISO_8859_1)
                        .replaceAll("[^ -~]+", "?");
    }

    /** A few edits anywhere. */
    public byte[] damage(byte[] sound) {
        byte[] bytes = sound.clone();
        for (int edits = random.nextInt(1, 5); edits > 0; edits--) {
            bytes = edit(bytes);
        }
        return bytes;
    }

    /** A safetensors file with edits in its header alone, whose length is then right. */
    public byte[] damageHeader(byte[] sound) {
        int length = (int) ByteBuffer.wrap(sound).order(ByteOrder.LITTLE_ENDIAN).getLong();
        byte[] header = damage(Arrays.copyOfRange(sound, 8, 8 + length));
        byte[] out = new byte[sound.length - length + header.length];
        ByteBuffer.wrap(out)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(header.length)
                .put(header)
                .put(sound, 8 + length, sound.length - 8 - length);
        return out;
    }

    private byte[] edit(byte[] bytes) {
        int at = random.nextInt(bytes.length + 1);
        int end = Math.min(bytes.length, at + random.nextInt(1, 24));
        return switch (random.nextInt(8)) {
            case 0 -> splice(bytes, at, end, new byte[0]);
            case 1 -> splice(bytes, at, at, new byte[] {(byte) random.nextInt(256)});
            case 2 -> splice(bytes, at, Math.min(end, at + 1), new byte[] {(byte) random.nextInt(256)});
            case 3 -> splice(bytes, at, at, Arrays.copyOfRange(bytes, at, end));
            case 4 ->
                splice(bytes, at, at, "[".repeat(random.nextInt(1, 20_000)).getBytes(StandardCharsets.UTF_8));
            case 5, 6 -> digit(bytes, at);
            default ->
                splice(bytes, at, at, TOKENS.get(random.nextInt(TOKENS.size())).getBytes(StandardCharsets.UTF_8));
        };
    }

    /** Another digit, or some more. */
    private byte[] digit(byte[] bytes, int from) {
        for (int i = from; i < bytes.length; i++) {
            if (bytes[i] >= '0' && bytes[i] <= '9') {
                byte[] digits = String.valueOf(random.nextInt(random.nextBoolean() ? 10 : 1_000_000))
                        .getBytes(StandardCharsets.UTF_8);
                return splice(bytes, i, i + 1, digits);
            }
        }
        return bytes;
    }

    private static byte[] splice(byte[] bytes, int from, int to, byte[] insertion) {
        byte[] out = new byte[bytes.length - (to - from) + insertion.length];
        System.arraycopy(bytes, 0, out, 0, from);
        System.arraycopy(insertion, 0, out, from, insertion.length);
        System.arraycopy(bytes, to, out, from + insertion.length, bytes.length - to);
        return out;
    }
}
