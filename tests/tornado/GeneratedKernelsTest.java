package tornado;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import tornado.TornadoDevices.Settings;
import uk.ac.manchester.tornado.api.TaskGraph;
import wan.backend.Storage;
import wan.selftest.SelfTest;

/** What TornadoVM makes of the kernels with local memory; it writes every source to the file that the property names. */
class GeneratedKernelsTest {
    private static final Pattern LOCAL_ARRAY = Pattern.compile("(?:__local|__shared__) float (\\w+)\\[\\d+]");

    /** A long is an address or an offset in bytes: elements are counted by ints. */
    private static final Pattern BYTE_OFFSET = Pattern.compile("u?l_\\d+|\\d+L");

    /** Local arrays of a source that are indexed by an offset in bytes, with their indices. */
    private static List<String> wrong(String source) {
        List<String> wrong = new ArrayList<>();
        List<String> arrays = LOCAL_ARRAY
                .matcher(source)
                .results()
                .map(match -> match.group(1))
                .distinct()
                .toList();
        for (String array : arrays) {
            Pattern index = Pattern.compile("\\b" + array + "\\[([^]]+)]");
            index.matcher(source)
                    .results()
                    .map(MatchResult::group)
                    .filter(use -> BYTE_OFFSET
                            .matcher(use.substring(array.length() + 1, use.length() - 1))
                            .matches())
                    .forEach(wrong::add);
        }
        return wrong;
    }

    @Test
    void byteOffsets_areFound() {
        String declared = "__shared__ float adf_3[256];\n";
        assertThat(wrong(declared + "l_35 = l_34 + 16L;\nadf_3[l_35] = f_1;")).containsExactly("adf_3[l_35]");
        assertThat(wrong("__local float adf_3[256];\nf_1 = adf_3[16L];")).containsExactly("adf_3[16L]");
        assertThat(wrong(declared + "adf_3[i_17] = f_1;")).isEmpty();
    }

    @Test
    void localArrays_areIndexedByElements() throws IOException {
        boolean device = TaskGraph.class.getModule().isNamed() && FakeDriver.deviceIsThere();
        if (!device) {
            System.err.println(
                    "SKIPPED: there is no SDK with a device; no kernel was generated, unless FakeDriverTest did");
        }
        assumeTrue(device, "needs TORNADOVM_HOME, and a device");
        Settings settings = new Settings("shared", Storage.F32, Set.of(), 0);
        try (TornadoOps ops = TornadoDevices.open("tornado", settings)) {
            for (String op : List.of("Norm", "linear", "attention")) {
                assertThat(SelfTest.run(ops, settings.storage(), op)).allMatch(SelfTest.Result::passed);
            }
        }
        String sources = Files.readString(Path.of(System.getProperty("tornado.print.kernel.dir")));
        List<String> kernels = List.of(sources.split("(?=__kernel|__global__)", -1));
        assertThat(kernels).anyMatch(kernel -> LOCAL_ARRAY.matcher(kernel).find());
        assertThat(kernels).allSatisfy(kernel -> assertThat(wrong(kernel)).isEmpty());
    }
}
