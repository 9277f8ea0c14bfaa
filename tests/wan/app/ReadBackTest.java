package wan.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import capture.analysis.PassSlot;
import capture.analysis.SavedResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import wan.file.Python;
import wan.file.TorchStore;
import wan.op.FormatException;
import wan.op.Quantity;

/** The commands that look at results read every format that extract writes, and what the reference's script has saved. */
class ReadBackTest {
    private static final Path SCRIPT = Path.of("tests/goldens/checkpoints/layer3.pt");

    @TempDir
    private Path folder;

    private CommandLineRun ok(Object... args) {
        CommandLineRun run = CommandLineRun.of(args);
        assertThat(run.exitCode()).as(run.err()).isZero();
        return run;
    }

    private Path extracted(String name, Object... more) {
        Path file = folder.resolve(name);
        Object[] args = {"extract", "--num-frames", 4, "--latent-size", "4x4", "-q", "-o", file};
        Object[] all = Arrays.copyOf(args, args.length + more.length);
        System.arraycopy(more, 0, all, args.length, more.length);
        ok(all);
        return file;
    }

    @Test
    void everyFormat_givesTheSameAnalysis() {
        Path folderOfLayers = folder.resolve("run");
        extracted("run.pt", "--layer", "0-2");
        Path npz = extracted("run.npz", "--layer", "0-2");
        Path safetensors = extracted("run.safetensors", "--layer", "0-2");
        String expected = measures(safetensors);
        assertThat(expected).contains("sink_score").hasLineCount(37);
        assertThat(measures(npz)).isEqualTo(expected);
        double[] exact = values(expected);
        double[] stored = values(measures(folderOfLayers));
        assertThat(stored).hasSize(36);
        for (int i = 0; i < exact.length; i++) {
            assertThat(stored[i]).isCloseTo(exact[i], within(2e-3)); // the script stores float16
        }
        for (Path result : new Path[] {npz, folderOfLayers, folderOfLayers.resolve("layer1.pt")}) {
            ok("plot", result, "--kind", "heads", "--layer", 1, "--out", folder.resolve("heads.svg"), "--force");
            ok("report", result, "--out", folder.resolve("report.html"), "--force");
        }
        assertThat(ok("inspect", npz).out()).contains("layer1.full_frame_attention", "schema_version: 2");
        assertThat(ok("inspect", folderOfLayers).out()).contains("block1.step0.layer2.frame_logits");
    }

    private String measures(Path result) {
        return ok("analyze", result, "--format", "csv", "--measure", "sink_score", "--roles", "none")
                .out();
    }

    private static double[] values(String csv) {
        return csv.lines()
                .skip(1)
                .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(',') + 1)))
                .toArray();
    }

    @Test
    void matricesOfTheScript_comeBackByFrameBlock() {
        try (SavedResult result = SavedResult.open(SCRIPT);
                TorchStore file = TorchStore.open(SCRIPT)) {
            float[] expected = file.tensor("full_frame_attention").toFloats();
            assertThat(result.info().layers()).containsExactly(3);
            assertThat(result.info().frameBlocks()).hasSize(3);
            assertThat(result.info().tokenRows() * result.info().tokenCols()).isEqualTo(6);
            var maps = result.maps(Quantity.FRAME_LOGITS, 3, PassSlot.parse("0"));
            for (int i = 0; i < expected.length; i++) {
                int query = i / 7 % 7;
                int key = i % 7;
                int end = query == 0 ? 1 : query < 4 ? 4 : 7;
                assertThat(maps.get(i / 49, query, key)).isEqualTo(Float.valueOf(key < end ? expected[i] : Float.NaN));
            }
        }
    }

    @Test
    void filesOfPyTorch_areReadAsTheReferencesScriptSavesThem() throws Exception {
        Path layers = Files.createDirectory(folder.resolve("cache"));
        Python.run("torch", """
                import sys, torch
                for l in range(12):
                    torch.manual_seed(l)
                    m = torch.randn(12, 7, 7).half()
                    m[:, 0, 1:] = 0; m[:, 1:4, 4:] = 0
                    torch.save({"layer_index": l, "full_frame_attention": m,
                        "last_block_frame_attention": m[:, 4:].float().mean(1).half(), "is_logits": True,
                        "prompt": "a cat", "num_frames": 7, "frame_seq_length": 1560, "num_frame_per_block": 3,
                        "num_heads": 12, "block_sizes": [1, 3, 3], "query_frames": list(range(7)),
                        "key_frames": list(range(7)), "last_block_query_frames": [4, 5, 6]}, f"{sys.argv[1]}/layer{l}.pt")
                """, layers);
        assertThat(ok("analyze", layers, "--measure", "sink_score", "--format", "csv")
                        .out())
                .hasLineCount(145);
        ok("plot", layers, "--kind", "mosaic", "--out", folder.resolve("m.svg"));
        ok("report", layers, "--out", folder.resolve("r.html"));
        try (SavedResult result = SavedResult.open(layers)) {
            assertThat(result.info().tokenRows()).isEqualTo(30);
            assertThat(result.info().text("prompt")).isEqualTo("a cat");
        }
        Files.copy(SCRIPT, layers.resolve("layer12.pt"));
        assertThatThrownBy(() -> SavedResult.open(layers))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("layer12.pt: expected a layer of the run of layer0.pt");
    }

    @Test
    void emptyFolder_isNamed() {
        assertThat(CommandLineRun.of("analyze", folder).err())
                .contains("layer0.pt")
                .hasLineCount(1);
    }
}
