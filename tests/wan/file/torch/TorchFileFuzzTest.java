package wan.file.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import wan.op.WanException;

/** 100,000 damaged files, the same ones every time: each is either read to the end or refused, and never anything else. */
class TorchFileFuzzTest {
    private static final Path CHECKPOINTS = Path.of("tests/goldens/checkpoints");
    private static final byte[] EDGES = {0, 1, 2, 0x7f, (byte) 0x80, (byte) 0xff, '(', '.', 't', 'R', 'Q', 'h', 'q', 'b'
    };

    /** RAW damages the whole file; PICKLE only data.pkl, whose checksum is then right; DEFLATED a compressed file. */
    enum Target {
        RAW,
        PICKLE,
        DEFLATED
    }

    @ParameterizedTest(name = "{0} {1}")
    @CsvSource({
        "strided.pt, RAW, 20000",
        "strided.pt, PICKLE, 15000",
        "layer3.pt, RAW, 15000",
        "layer3.pt, PICKLE, 15000",
        "layer3.pt, DEFLATED, 10000",
        "strided-legacy.pt, RAW, 25000",
    })
    void open_readsOrRefuses_whenBytesAreDamaged(String name, Target target, int mutations) throws IOException {
        byte[] file = Files.readAllBytes(CHECKPOINTS.resolve(name));
        SplittableRandom random = new SplittableRandom((name + target).hashCode());
        byte[] sound = target == Target.DEFLATED ? TorchBytes.zip(unzip(CHECKPOINTS.resolve(name)), true) : file;
        int read = 0;
        for (int i = 0; i < mutations; i++) {
            byte[] damaged = target == Target.PICKLE ? damagedPickle(file, random) : damage(sound, random);
            read += readsOrRefuses(damaged, name) ? 1 : 0;
        }
        assertThat(read).as("some damage is harmless").isBetween(mutations / 1000, mutations * 9 / 10);
    }

    /** With data.pkl damaged, padded to its old length, and the checksum put right: torch writes it first, and no CRC before it. */
    private static byte[] damagedPickle(byte[] file, SplittableRandom random) {
        ByteBuffer bytes = ByteBuffer.wrap(file.clone()).order(ByteOrder.LITTLE_ENDIAN);
        int directory = TorchBytes.indexOf(file, "PK\u0001\u0002");
        int length = bytes.getInt(directory + 20);
        int start = 30 + bytes.getShort(26) + bytes.getShort(28);
        byte[] pickle = Arrays.copyOf(damage(Arrays.copyOfRange(file, start, start + length), random), length);
        CRC32 crc = new CRC32();
        crc.update(pickle);
        return bytes.put(start, pickle)
                .putInt(directory + 16, (int) crc.getValue())
                .array();
    }

    private static boolean readsOrRefuses(byte[] damaged, String what) {
        try (Arena arena = Arena.ofConfined()) {
            TorchFile torch = new TorchFile(what, MemorySegment.ofArray(damaged), arena);
            for (String name : torch.names()) {
                byte[] copy = new byte
                        [Math.toIntExact(Math.min(64, torch.tensor(name).data().byteSize()))];
                MemorySegment.copy(torch.tensor(name).data(), 0, MemorySegment.ofArray(copy), 0, copy.length);
            }
            return true;
        } catch (WanException e) {
            assertThat(e.getMessage()).startsWith(what).hasSizeLessThan(1000).doesNotContain("\n");
            return false;
        } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
            return fail(what + " damaged to " + Arrays.toString(damaged), e);
        }
    }

    private static byte[] damage(byte[] sound, SplittableRandom random) {
        byte[] bytes = sound.clone();
        int edits = 1 + random.nextInt(4);
        for (int i = 0; i < edits; i++) {
            int at = random.nextInt(bytes.length);
            int length = Math.min(1 + random.nextInt(16), bytes.length - at);
            switch (random.nextInt(6)) {
                case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
                case 1 -> bytes[at] = (byte) random.nextInt(256);
                case 2 -> Arrays.fill(bytes, at, at + length, EDGES[random.nextInt(EDGES.length)]);
                case 3 -> System.arraycopy(bytes, random.nextInt(bytes.length - length + 1), bytes, at, length);
                case 4 -> bytes = without(bytes, at, length);
                default -> {
                    if (random.nextInt(8) == 0) {
                        bytes = Arrays.copyOf(bytes, Math.max(1, at));
                    } else {
                        bytes[at] = EDGES[random.nextInt(EDGES.length)];
                    }
                }
            }
        }
        return bytes;
    }

    private static byte[] without(byte[] bytes, int at, int length) {
        if (length == bytes.length) {
            return bytes;
        }
        byte[] shorter = Arrays.copyOf(bytes, bytes.length - length);
        System.arraycopy(bytes, at + length, shorter, at, shorter.length - at);
        return shorter;
    }

    private static Map<String, byte[]> unzip(Path file) throws IOException {
        Map<String, byte[]> entries = new LinkedHashMap<>();
        try (ZipFile zip = new ZipFile(file.toFile())) {
            for (ZipEntry entry : zip.stream().map(ZipEntry.class::cast).toList()) {
                entries.put(entry.getName(), zip.getInputStream(entry).readAllBytes());
            }
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
        return entries;
    }
}
