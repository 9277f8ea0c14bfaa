package wan.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

class SafetensorsTest {
    private static final Path GOLDENS = Path.of("tests/goldens");

    @TempDir
    Path dir;

    @Test
    void open_readsTheGoldenModel() {
        try (Safetensors file = Safetensors.open(GOLDENS.resolve("model-tiny.safetensors"))) {
            assertThat(file.names())
                    .hasSize(123)
                    .startsWith("blocks.0.cross_attn.k.bias")
                    .endsWith("time_projection.1.weight");
            assertThat(file.metadata()).containsEntry("format", "pt").containsKey("config");
            TensorView patch = file.tensor("patch_embedding.weight");
            assertThat(patch.dtype()).isEqualTo(DType.F32);
            assertThat(patch.shape()).isEqualTo(Shape.of(96, 16, 1, 2, 2));
            float[] values = patch.toFloats();
            double square = IntStream.range(0, values.length)
                    .mapToDouble(i -> values[i] * values[i])
                    .average()
                    .orElseThrow();
            assertThat(Math.sqrt(square)).isBetween(0.05, 0.5);
        }
    }

    @Test
    void toFloats_isExact_whenBrainFloat() {
        try (Safetensors file = Safetensors.open(GOLDENS.resolve("model-head128.safetensors"))) {
            TensorView view = file.tensor("head.head.bias");
            assertThat(view.dtype()).isEqualTo(DType.BF16);
            for (float value : view.toFloats()) {
                assertThat(Float.floatToRawIntBits(value) & 0xffff).isZero();
            }
        }
    }

    @Test
    void tensor_readsEveryType_whenTheGoldenHasIt() {
        try (Safetensors file = Safetensors.open(GOLDENS.resolve("checkpoints/strided.expected.safetensors"))) {
            assertThat(file.names().stream().map(n -> file.tensor(n).dtype()).distinct())
                    .contains(DType.F64, DType.F16, DType.BF16, DType.I64, DType.I32, DType.U8, DType.BOOL);
            for (String name : file.names()) {
                TensorView view = file.tensor(name);
                assertThat(view.toDoubles()).as(name).hasSize(view.shape().intSize());
            }
        }
    }

    @Test
    void tensor_namesWhatIsNear_whenThereIsNone() {
        try (Safetensors file = Safetensors.open(GOLDENS.resolve("model-tiny.safetensors"))) {
            assertThatThrownBy(() -> file.tensor("blocks.0.self_attn.q.weigth"))
                    .isExactlyInstanceOf(WanException.class)
                    .hasMessageContainingAll("model-tiny.safetensors", "no tensor blocks.0.self_attn.q.weigth")
                    .hasMessageContaining("did you mean blocks.0.self_attn.q.weight");
            assertThatThrownBy(() -> file.tensor("x\n\u001b[31m"))
                    .hasMessageEndingWith("no tensor x\\u000a\\u001b[31m");
        }
    }

    @Test
    void tensor_readsUnalignedData() {
        String json = "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
                + "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[3,11]}}";
        byte[] bytes = HeaderBytes.file(json, 11);
        bytes[bytes.length - 1] = 0x40;
        bytes[bytes.length - 2] = 0x20;
        try (Safetensors file = Safetensors.open(HeaderBytes.write(dir.resolve("odd.safetensors"), bytes))) {
            assertThat(file.tensor("b").toFloats()).containsExactly(0f, 2.5f);
        }
    }

    @Test
    void open_acceptsEveryTypeOfTheFormat() {
        for (DType dtype : DType.values()) {
            long bytes = dtype.bytes(8);
            byte[] file = HeaderBytes.file(
                    "{\"x\":{\"dtype\":\"" + dtype + "\",\"shape\":[2,4],\"data_offsets\":[0," + bytes + "]}}  ",
                    (int) bytes);
            try (Safetensors opened = Safetensors.open(HeaderBytes.write(dir.resolve(dtype + ".safetensors"), file))) {
                assertThat(opened.tensor("x").data().byteSize()).isEqualTo(dtype.bits());
            }
        }
    }

    @Test
    void open_acceptsOddButLegalHeaders() {
        List<String> headers = List.of(
                "{}",
                "{}      ",
                "{\"__metadata__\":{}}",
                "{\"__metadata__\":null}",
                "{\"x\":{\"dtype\":\"F32\",\"shape\":[0,9000000000000000000],\"data_offsets\":[0,0]}}",
                "{\"x\":{\"data_offsets\":[0,0],\"shape\":[0],\"dtype\":\"F32\",\"note\":[{\"a\":1}]}}");
        for (String json : headers) {
            Safetensors.open(HeaderBytes.write(dir.resolve("odd.safetensors"), HeaderBytes.file(json, 0)))
                    .close();
        }
    }

    static Stream<Arguments> brokenHeaders() {
        return Stream.of(
                        // header, bytes of data, what the message says
                        List.of("", 0, "does not start with {"),
                        List.of("[]", 0, "does not start with {"),
                        List.of(" {}", 0, "does not start with {"),
                        List.of("{", 0, "not valid JSON"),
                        List.of("{} x", 0, "not valid JSON"),
                        List.of("{}{}", 0, "not one JSON object"),
                        List.of("{}\0", 0, "not valid JSON"),
                        List.of("{\"a\":" + "[".repeat(100_000), 0, "tensor a: expected an object, got array"),
                        List.of("{\"a\":{\"x\":" + "[".repeat(100_000), 0, "nesting depth"),
                        List.of("{\"a\":" + "{\"a\":".repeat(100_000), 0, "nesting depth"),
                        List.of("{\"a\":3}", 0, "tensor a: expected an object, got number int"),
                        List.of("{\"a\":{}}", 0, "tensor a: has no dtype"),
                        List.of("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,0]}}", 0, "tensor a: has no shape"),
                        List.of("{\"a\":{\"dtype\":\"F32\",\"shape\":[0]}}", 0, "tensor a: has no data_offsets"),
                        List.of("{\"a\":{\"dtype\":32}}", 0, "tensor a: dtype: expected a string, got number int"),
                        List.of(tensor("F31", "[1]", "[0,4]"), 4, "tensor a: unknown dtype F31; known: BOOL"),
                        List.of(tensor("F\\n31", "[1]", "[0,4]"), 4, "unknown dtype F\\u000a31"),
                        List.of(tensor("F32", "1", "[0,4]"), 4, "tensor a: shape: expected an array"),
                        List.of(tensor("F32", "[1.5]", "[0,4]"), 4, "shape: expected whole numbers, got number float"),
                        List.of(tensor("F32", "[\"1\"]", "[0,4]"), 4, "shape: expected whole numbers, got string"),
                        List.of(tensor("F32", "[-1]", "[0,4]"), 4, "shape: -1 is negative"),
                        List.of(
                                tensor("F32", "[99999999999999999999]", "[0,4]"),
                                4,
                                "99999999999999999999 is negative or over 2^63"),
                        List.of(tensor("F32", "[" + "9".repeat(5000) + "]", "[0,4]"), 4, "exceeds the maximum"),
                        List.of(
                                tensor("F32", "[4294967296,4294967296]", "[0,4]"),
                                4,
                                "more elements than a long counts"),
                        List.of(tensor("F32", "[4611686018427387904]", "[0,4]"), 4, "overflows"),
                        List.of(tensor("F32", "[" + "1,".repeat(99_999) + "1]", "[0,4]"), 4, "more than 64 numbers"),
                        List.of(tensor("F32", "[1]", "[0]"), 4, "data_offsets: expected [begin, end], got 1 numbers"),
                        List.of(
                                tensor("F32", "[1]", "[0,4,8]"),
                                4,
                                "data_offsets: expected [begin, end], got 3 numbers"),
                        List.of(tensor("F32", "[1]", "[-4,0]"), 4, "data_offsets: -4 is negative"),
                        List.of(tensor("F32", "[1]", "[4,0]"), 4, "bytes 4 to 0 end before they begin"),
                        List.of(
                                tensor("F32", "[2]", "[0,8]"),
                                4,
                                "bytes 0 to 8 lie outside the data section of 4 bytes"),
                        List.of(tensor("F32", "[1]", "[0,9223372036854775807]"), 4, "lie outside"),
                        List.of(tensor("F32", "[2]", "[0,4]"), 4, "expected 8 bytes for F32 [2], got 4"),
                        List.of(tensor("F4", "[3]", "[0,2]"), 2, "does not fill whole bytes"),
                        List.of(tensor("F32", "[1]", "[4,8]"), 8, "bytes 4 to 8 leave a hole behind 0"),
                        List.of(
                                tensor("F32", "[1]", "[0,4]"),
                                5,
                                "end at byte 4 of the data section, but it has 5 bytes"),
                        List.of("{}", 1, "end at byte 0 of the data section, but it has 1 bytes"),
                        List.of(two("a", "[0,4]", "b", "[0,4]"), 8, "overlap the tensor before, which ends at 4"),
                        List.of(two("a", "[0,4]", "b", "[6,10]"), 10, "tensor b: bytes 6 to 10 leave a hole behind 4"),
                        List.of(two("a", "[0,4]", "a", "[4,8]"), 8, "Duplicate"),
                        List.of(two("a", "[0,4]", "\\u0061", "[4,8]"), 8, "Duplicate"),
                        List.of("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, "Duplicate"),
                        List.of("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0, "Duplicate"),
                        List.of("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "Duplicate"),
                        List.of("{\"__metadata__\":[]}", 0, "__metadata__: expected an object, got array"),
                        List.of("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__.a: expected a string, got number int"),
                        List.of("{\"__metadata__\":{\"a\":\"x\\ud800\"}}", 0, "lone surrogate in x\\ud800"),
                        List.of(
                                "{\"\\ud800\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}",
                                0,
                                "surrogate"),
                        List.of("{\"__metadata__\":{\"a\":{}}}", 0, "__metadata__.a: expected a string, got object"))
                .map(row -> Arguments.of(row.toArray()));
    }

    private static String tensor(String dtype, String shape, String offsets) {
        return "{\"a\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
    }

    private static String two(String first, String firstOffsets, String second, String secondOffsets) {
        String form = "\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":%s}";
        return "{" + form.formatted(first, firstOffsets) + "," + form.formatted(second, secondOffsets) + "}";
    }

    @ParameterizedTest
    @MethodSource("brokenHeaders")
    void open_saysWhatIsWrong_whenTheHeaderIs(String json, int dataBytes, String problem) {
        Path file = HeaderBytes.write(dir.resolve("broken.safetensors"), HeaderBytes.file(json, dataBytes));
        assertRefused(file, problem);
    }

    @Test
    void open_saysWhatIsWrong_whenTheFileIsNotOne() {
        assertRefused(HeaderBytes.write(dir.resolve("empty"), new byte[0]), "the file is empty");
        assertRefused(
                HeaderBytes.write(dir.resolve("short"), new byte[7]), "7 bytes, and the header's length alone takes 8");
        byte[] past = HeaderBytes.file("{}", 0);
        past[0] = 3;
        assertRefused(HeaderBytes.write(dir.resolve("past"), past), "promise a header of 3 bytes, but only 2 follow");
        byte[] huge = HeaderBytes.file("{}", 0);
        Arrays.fill(huge, 0, 8, (byte) 0xff);
        assertRefused(
                HeaderBytes.write(dir.resolve("huge"), huge),
                "promise a header of 18446744073709551615 bytes, but at most 100000000 are allowed");
    }

    @Test
    void open_refusesWhatIsNotUtf8() {
        byte[] overlong = {'{', '"', (byte) 0xc0, (byte) 0xaf, '"', ':', '{', '}', '}'};
        byte[] cut = {'{', '"', (byte) 0xe2, (byte) 0x82, '"', ':', '{', '}', '}'};
        byte[] surrogate = {'{', '"', (byte) 0xed, (byte) 0xa0, (byte) 0x80, '"', ':', '{', '}', '}'};
        for (byte[] json : List.of(overlong, cut, surrogate)) {
            assertRefused(HeaderBytes.write(dir.resolve("utf8"), HeaderBytes.file(json, 0)), "not UTF-8");
        }
        byte[] utf16 = "{}".getBytes(StandardCharsets.UTF_16LE);
        assertRefused(HeaderBytes.write(dir.resolve("utf16"), HeaderBytes.file(utf16, 0)), "not valid JSON");
    }

    private static void assertRefused(Path file, String problem) {
        assertThatThrownBy(() -> Safetensors.open(file))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith(file + ": ")
                .hasMessageContaining(problem)
                .message()
                .doesNotContain("\n")
                .hasSizeLessThan(600);
    }

    @Test
    void open_saysWhy_whenTheFileCannotBeRead() throws IOException {
        assertThatThrownBy(() -> Safetensors.open(dir))
                .isExactlyInstanceOf(WanException.class)
                .hasMessage(dir + ": is a folder, not a file");
        Path missing = dir.resolve("missing");
        assertThatThrownBy(() -> Safetensors.open(missing)).hasMessage(missing + ": no such file");
        Path device = Path.of("/dev/zero");
        Assumptions.assumeTrue(Files.exists(device), "needs /dev/zero");
        assertThatThrownBy(() -> Safetensors.open(device)).hasMessage("/dev/zero: is not a regular file");
    }

    @Test
    void open_saysWhy_whenPermissionIsMissing() throws IOException {
        Path locked = HeaderBytes.write(dir.resolve("locked"), HeaderBytes.file("{}", 0));
        Files.setPosixFilePermissions(locked, PosixFilePermissions.fromString("---------"));
        Assumptions.assumeFalse(Files.isReadable(locked), "needs a user other than root, who reads every file");
        assertThatThrownBy(() -> Safetensors.open(locked)).hasMessage(locked + ": cannot read: permission denied");
    }
}
