package wan.file;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import wan.op.WanException;

/** Headers mutated at random: whatever comes, the parser reads it or refuses it with a typed, one-line message. */
class SafetensorsHeaderFuzzTest {
    private static final int CASES = 100_000;
    private static final List<String> SEEDS = List.of(
            "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
            "{\"a.b\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]},"
                    + "\"c\":{\"dtype\":\"F4\",\"shape\":[4,1],\"data_offsets\":[2,4]},"
                    + "\"\u00e9\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[4,12]}}    ");
    private static final List<String> TOKENS = List.of(
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "null",
            "true",
            "0",
            "-1",
            "1e99",
            "9223372036854775807",
            "18446744073709551616",
            "4294967296",
            "\"dtype\"",
            "\"shape\":[0]",
            "\"data_offsets\":[0,0]",
            "\"__metadata__\":{}",
            "\\u0000",
            "\\ud800",
            "\0",
            "NaN",
            "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},",
            "\"F6_E2M3\"",
            "//",
            "\ufeff",
            "[[[[[[[[");

    @Test
    void parse_readsOrRefuses_whateverTheHeader() {
        SplittableRandom random = new SplittableRandom(20260721);
        int accepted = 0;
        for (int i = 0; i < CASES; i++) {
            byte[] header = SEEDS.get(random.nextInt(SEEDS.size())).getBytes(StandardCharsets.UTF_8);
            for (int edits = random.nextInt(1, 5); edits > 0; edits--) {
                header = mutate(header, random);
            }
            accepted +=
                    parses(header, random.nextInt(4) == 0 ? random.nextLong(1L << 40) : 24 - 12L * random.nextInt(2))
                            ? 1
                            : 0;
        }
        // Neither should the mutations be so wild that nothing past the JSON parser is ever reached.
        assertThat(accepted).isBetween(CASES / 200, CASES / 2);
    }

    /** Plain checks: an assertion library costs more here than what is tested. */
    private static boolean parses(byte[] header, long dataBytes) {
        try {
            SafetensorsHeader parsed = SafetensorsHeader.parse("fuzz", header, dataBytes);
            long covered = 0;
            for (SafetensorsHeader.Entry entry : parsed.tensors().values()) {
                if (entry.begin() != covered
                        || entry.dtype().bytes(entry.shape().size()) != entry.end() - covered) {
                    throw new AssertionError("accepted " + entry + " in " + shown(header));
                }
                covered = entry.end();
            }
            if (covered != dataBytes) {
                throw new AssertionError("accepted " + shown(header) + " for " + dataBytes + " bytes");
            }
            return true;
        } catch (WanException e) {
            String message = String.valueOf(e.getMessage());
            if (!message.startsWith("fuzz: ")
                    || message.length() > 600
                    || message.chars().anyMatch(c -> c < ' ')) {
                throw new AssertionError("message " + message, e);
            }
            return false;
        } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
            throw new AssertionError("header " + shown(header), e);
        }
    }

    private static String shown(byte[] header) {
        return new String(header, StandardCharsets.ISO_8859_1);
    }

    private static byte[] mutate(byte[] header, SplittableRandom random) {
        int at = random.nextInt(header.length + 1);
        int end = Math.min(header.length, at + random.nextInt(1, 40));
        return switch (random.nextInt(6)) {
            case 0 -> splice(header, at, Math.min(end, at + 8), new byte[0]);
            case 1 -> splice(header, at, at, new byte[] {(byte) random.nextInt(256)});
            case 2 -> splice(header, at, Math.min(end, at + 1), new byte[] {(byte) random.nextInt(256)});
            case 3 -> splice(header, at, at, Arrays.copyOfRange(header, at, end));
            case 4 -> replaceDigit(header, at, random);
            default ->
                splice(header, at, at, TOKENS.get(random.nextInt(TOKENS.size())).getBytes(StandardCharsets.UTF_8));
        };
    }

    private static byte[] splice(byte[] header, int from, int to, byte[] insertion) {
        byte[] out = new byte[header.length - (to - from) + insertion.length];
        System.arraycopy(header, 0, out, 0, from);
        System.arraycopy(insertion, 0, out, from, insertion.length);
        System.arraycopy(header, to, out, from + insertion.length, header.length - to);
        return out;
    }

    private static byte[] replaceDigit(byte[] header, int from, SplittableRandom random) {
        byte[] out = header.clone();
        for (int i = from; i < out.length; i++) {
            if (out[i] >= '0' && out[i] <= '9') {
                out[i] = (byte) ('0' + random.nextInt(10));
                break;
            }
        }
        return out;
    }
}
