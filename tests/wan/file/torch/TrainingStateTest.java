package wan.file.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static wan.file.torch.TorchBytes.int64;
import static wan.file.torch.TorchBytes.legacy;
import static wan.file.torch.TorchBytes.open;
import static wan.file.torch.TorchBytes.storage;
import static wan.file.torch.TorchBytes.tensor;
import static wan.file.torch.TorchBytes.text;
import static wan.file.torch.TorchBytes.tuple;
import static wan.file.torch.TorchBytes.zip;

import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import wan.op.FormatException;

/** What trainers keep beside the weights: whatever it is, the weights are read, and nothing is run. */
class TrainingStateTest {
    private static final String WEIGHT = tensor(storage("0", "FloatStorage", 4), 0, tuple(4), tuple(1));

    static Stream<Arguments> states() {
        return Stream.of(
                Arguments.of(
                        "NumPy scalar",
                        "cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(" + text("f4") + "K\0K\u0001tR(K\u0003"
                                + text("<") + "NNNJ" + "\u00ff".repeat(4) + "J" + "\u00ff".repeat(4) + "K\0tb"
                                + "c_codecs\nencode\n(X\u0004\0\0\0\0\0\0?" + text("latin1") + "tRtR",
                        "an object of numpy.core.multiarray.scalar"),
                Arguments.of(
                        "NumPy array",
                        "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0t" + text("b")
                                + "tR(K\u0001(K\u0003t" + text("f4") + "\u0089" + text("abc") + "tb",
                        "an object of numpy.core.multiarray._reconstruct"),
                Arguments.of(
                        "Namespace",
                        "cargparse\nNamespace\n)\u0081}(" + text("lr") + "G\0\0\0\0\0\0\0\0ub",
                        "an object of argparse.Namespace"),
                Arguments.of(
                        "Path",
                        "cpathlib\nPosixPath\n(" + text("/") + text("a") + "tR",
                        "an object of pathlib.PosixPath"),
                Arguments.of(
                        "datetime",
                        "cdatetime\ndatetime\n(" + text("0123456789") + "tR",
                        "an object of datetime.datetime"),
                Arguments.of("Enum", "ctrain\nPhase\n(K\u0001tR", "an object of train.Phase"),
                Arguments.of(
                        "Enum of Python 3.12",
                        "c__builtin__\ngetattr\n(ctrain\nPhase\n" + text("DMD") + "tR",
                        "an object of __builtin__.getattr"),
                Arguments.of(
                        "a call of what a call gave",
                        "cfunctools\npartial\n)R)R",
                        "what a call of an object of functools.partial would give"),
                Arguments.of("deque", "ccollections\ndeque\n)R(K\u0001K\u0002e", "an object of collections.deque"),
                Arguments.of("subclass of set", "cmine\nTags\n)\u0081(K\u0001\u0090", "an object of mine.Tags"),
                Arguments.of("INST of Python 2", "(iargparse\nNamespace\n", "an object of argparse.Namespace"),
                Arguments.of("keyword arguments", "cmine\nState\n)}\u0092", "an object of mine.State"),
                Arguments.of(
                        "sparse tensor",
                        "ctorch._utils\n_rebuild_sparse_tensor\n(ctorch.serialization\n_get_layout\n("
                                + text("torch.sparse_coo") + "tR(" + WEIGHT + WEIGHT + tuple(4) + "ttR",
                        "an object of torch._utils._rebuild_sparse_tensor"),
                Arguments.of(
                        "conjugated tensor",
                        "ctorch._utils\n_rebuild_tensor_v2\n(" + storage("0", "FloatStorage", 4) + int64(0) + tuple(1)
                                + tuple(1) + "\u0089N}(" + text("conj") + "\u0088utR",
                        "a tensor that is stored conjugated or negated; call resolve_conj().resolve_neg() in Python"),
                Arguments.of(
                        "quantised tensor",
                        tensor(storage("1", "QInt8Storage", 16), 0, tuple(4), tuple(1)),
                        "a tensor in a storage of torch.QInt8Storage"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("states")
    void tensor_isRead_whateverLiesBesideIt(String what, String state, String unreadable) {
        for (String before : new String[] {"", "state/"}) {
            String pickle = before.isEmpty()
                    ? "}(" + text("state") + state + text("w") + WEIGHT + "u"
                    : "}(" + text("state") + "](" + state + "K\u0001e" + text("w") + WEIGHT + "u";
            TorchFile file = open(zip(pickle));
            assertThat(file.names()).containsExactly("w");
            assertThat(file.tensor("w").toFloats()).hasSize(4);
            assertThat(file.unreadable()).containsEntry(before.isEmpty() ? "state" : "state/0", unreadable);
        }
    }

    static Stream<Arguments> readable() {
        return Stream.of(
                Arguments.of("Counter", "ccollections\nCounter\n(}(" + text("a") + "K\u0002utR"),
                Arguments.of(
                        "defaultdict", "ccollections\ndefaultdict\n(c__builtin__\nint\ntR" + text("a") + "K\u0002s"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("readable")
    void values_areDicts_whenTheClassIsOneOfPythonsOwn(String what, String state) {
        TorchFile file = open(zip("}(" + text("state") + state + text("w") + WEIGHT + "u"));
        assertThat(((Map<?, ?>) file.values()).get("state")).isEqualTo(Map.of("a", 2L));
        assertThat(file.unreadable()).isEmpty();
    }

    @Test
    void names_areThoseInside_whenTheClassIsADictOfSomebody() {
        TorchFile file =
                open(zip("}" + text("net") + "clightning\nAttributeDict\n)\u0081(" + text("w") + WEIGHT + "us"));
        assertThat(file.names()).containsExactly("net/w");
    }

    @Test
    void keys_mayBeAnything_whenTheyAreOfATrainersDict() {
        String keys =
                "(K\u0001K\u0002t" + "K\u0005" + "ctrain\nPhase\n(K\u0001tR" + "K\u0006" + "C\u0002ab" + "K\u0007";
        TorchFile file = open(zip("}(" + text("state") + "}(" + keys + "u" + text("w") + WEIGHT + "u"));
        Map<?, ?> state = (Map<?, ?>) Objects.requireNonNull(((Map<?, ?>) file.values()).get("state"));
        assertThat(state.values().toString()).isEqualTo("[5, 6, 7]");
        assertThat(file.names()).containsExactly("w");
    }

    @Test
    void open_refuses_whenTheStorageOfALegacyFileCannotBePassedOver() {
        String pickle = "}(" + text("q") + tensor(storage("1", "QInt8Storage", 4), 0, tuple(4), tuple(1)) + text("w")
                + WEIGHT + "u";
        assertThatThrownBy(() -> open(legacy(pickle, "](" + text("1") + text("0") + "e", "")))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(
                        "has a storage of torch.QInt8Storage, after which the other entries cannot be found");
    }
}
