package wan.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.Shape;

class FileKindTest {
    @TempDir
    Path dir;

    private static byte[] latin1(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    static Stream<Arguments> foreign() {
        return Stream.of(
                Arguments.of(latin1("GGUF\3\0\0\0"), "a GGUF file; GGUF is not supported"),
                Arguments.of(latin1("lmgg\0\0\0\0\0\0\0\0"), "a GGML file"),
                Arguments.of(
                        latin1("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"), "git lfs pull"),
                Arguments.of(latin1("/annex/objects/SHA256E-s1--0\n"), "git annex get"),
                Arguments.of(latin1("<!DOCTYPE html><html>"), "a web page"),
                Arguments.of(latin1("\n  <html><head>"), "a web page"),
                Arguments.of("\ufeff<!doctype HTML>".getBytes(StandardCharsets.UTF_8), "a web page"),
                Arguments.of(
                        latin1("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>"), "a server's message (XML)"),
                Arguments.of(latin1("Entry not found"), "\"Entry not found\"; a server's message"),
                Arguments.of(latin1("Invalid username or password."), "logged in"),
                Arguments.of(latin1("{\"error\":\"Repository not found\"}"), "Repository not found"),
                Arguments.of(latin1("{\"_class_name\": \"WanModel\", \"dim\": 1536}"), "a model's configuration"),
                Arguments.of(
                        latin1("{\"version\": \"1.0\", \"truncation\": null, \"added_tokens\": []}"), "a tokenizer"),
                Arguments.of(latin1("\n\u000e\n\5<pad>\25\0\0\0\0\30\3\n\u000e\n\5</s>"), "a SentencePiece tokenizer"),
                Arguments.of(latin1("\u001f\u008b\b\0"), "a gzip file, a packed archive; unpack it first"),
                Arguments.of(latin1("7z\u00bc\u00af'\u001c"), "a 7z file"),
                Arguments.of(latin1("\u0089PNG\r\n\u001a\n"), "a PNG picture"),
                Arguments.of(latin1("\0\0\0 ftypisom"), "an MP4 video"),
                Arguments.of(latin1("\u0089HDF\r\n\u001a\n"), "an HDF5 file"),
                Arguments.of(new byte[0], "the file is empty"),
                Arguments.of(new byte[100_000], "nothing but zeros at its start: an unfinished download"),
                Arguments.of(latin1("\7\1\2\3\u00f0\u00f1\u00f2\u00f3\u00f4"), "neither safetensors nor PyTorch's"));
    }

    @ParameterizedTest
    @MethodSource("foreign")
    void open_namesWhatItIs_whateverTheName(byte[] bytes, String what) throws IOException {
        for (String name : List.of("a.safetensors", "a.pt", "a.pth", "a.bin", "a")) {
            Path file = Files.write(dir.resolve(name), bytes);
            assertThatThrownBy(() -> TensorStore.open(file))
                    .isInstanceOf(FormatException.class)
                    .hasMessageStartingWith(file + ": expected a file of tensors, got ")
                    .hasMessageContaining(what)
                    .message()
                    .doesNotContain("\n");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"a.safetensors", "a.pt", "a.pth", "a.bin", "a.ckpt", "a.json", "a.gguf", "a"})
    void open_readsSafetensorsAndTorch_whateverTheName(String name) throws IOException {
        Path file = dir.resolve(name);
        try (SafetensorsWriter writer = SafetensorsWriter.create(dir.resolve("own.safetensors"), 256)) {
            writer.add("w", DType.F32, Shape.of(1)).write(new float[] {7});
            writer.finish(Map.of());
        }
        Files.move(dir.resolve("own.safetensors"), file);
        try (TensorStore store = TensorStore.open(file)) {
            assertThat(store.tensor("w").toFloats()).containsExactly(7);
        }
        Files.copy(Path.of("tests/goldens/checkpoints/layer3.pt"), dir.resolve("torch-" + name));
        try (TensorStore store = TensorStore.open(dir.resolve("torch-" + name))) {
            assertThat(store.names()).contains("full_frame_attention");
        }
        Files.copy(Path.of("tests/goldens/checkpoints/strided-legacy.pt"), dir.resolve("legacy-" + name));
        try (TensorStore store = TensorStore.open(dir.resolve("legacy-" + name))) {
            assertThat(store.names()).contains("tensors/transposed");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"model-tiny.safetensors", "checkpoints/layer3.pt", "checkpoints/sf-bf16-legacy.pt"})
    void open_saysUnfinished_whereverTheFileEnds(String golden) throws IOException {
        byte[] whole = Files.readAllBytes(Path.of("tests/goldens", golden));
        for (double part : new double[] {0.02, 0.3, 0.5, 0.9, 0.999}) {
            Path file = Files.write(dir.resolve("cut"), Arrays.copyOf(whole, (int) (whole.length * part)));
            assertThatThrownBy(() -> TensorStore.open(file))
                    .isInstanceOf(FormatException.class)
                    .hasMessageContaining("unfinished download")
                    .hasMessageContaining("fetch");
        }
        Path file = Files.write(dir.resolve("whole"), whole);
        Files.write(dir.resolve("whole.aria2"), new byte[1]);
        assertThatThrownBy(() -> TensorStore.open(file)).hasMessageContaining("whole.aria2 lies beside it");
    }

    static Stream<Arguments> contents() {
        return Stream.of(
                Arguments.of(Contents.LORA, "diffusion_model.blocks.0.self_attn.q.lora_A.weight"),
                Arguments.of(Contents.LORA, "lora_unet_blocks_0_self_attn_q.lora_down.weight"),
                Arguments.of(Contents.LORA, "generator_lora/blocks.0.ffn.0.lora_B.default.weight"),
                Arguments.of(Contents.LORA, "lycoris_blocks_0_ffn_0.lokr_w1"),
                Arguments.of(Contents.LORA, "lora_unet_blocks_0_ffn_0.hada_w1_a"),
                Arguments.of(Contents.QUANTIZED, "blocks.0.ffn.0.scale_weight"),
                Arguments.of(Contents.QUANTIZED, "blocks.0.ffn.0.weight_scale_inv"),
                Arguments.of(Contents.QUANTIZED, "encoder.block.0.layer.1.DenseReluDense.wo.SCB"),
                Arguments.of(Contents.QUANTIZED, "model.diffusion_model.scaled_fp8"),
                Arguments.of(Contents.QUANTIZED, "blocks.0.ffn.0.weight.absmax"),
                Arguments.of(Contents.QUANTIZED, "blocks.0.ffn.0.weight.quant_state.bitsandbytes__nf4"),
                Arguments.of(Contents.TRANSFORMER, "generator_ema/model.blocks.0.self_attn.norm_q.weight"),
                Arguments.of(Contents.TRANSFORMER, "blocks.0.attn1.norm_q.weight"),
                Arguments.of(Contents.TEXT_ENCODER, "blocks.0.attn.q.weight"),
                Arguments.of(Contents.TEXT_ENCODER, "encoder.block.0.layer.0.SelfAttention.q.weight"),
                Arguments.of(Contents.CLIP, "visual.transformer.0.attn.to_qkv.weight"),
                Arguments.of(Contents.CLIP, "vision_model.embeddings.class_embedding"),
                Arguments.of(Contents.VAE, "decoder.middle.0.residual.2.weight"),
                Arguments.of(Contents.VAE, "decoder.mid_block.resnets.0.conv1.weight"),
                Arguments.of(Contents.OTHER_MODEL, "double_blocks.0.img_attn.qkv.weight"),
                Arguments.of(Contents.OTHER_MODEL, "model.diffusion_model.input_blocks.0.0.weight"),
                Arguments.of(Contents.OTHER_MODEL, "model.layers.0.self_attn.q_proj.weight"),
                Arguments.of(Contents.RESULT, "block0.step0.layer3.frame_logits"),
                Arguments.of(Contents.EMBEDDINGS, "prompt_embeds"),
                Arguments.of(Contents.OPTIMIZER, "state/0/exp_avg"),
                Arguments.of(Contents.UNKNOWN, "weight"));
    }

    @ParameterizedTest
    @MethodSource("contents")
    void of_tellsByOneName(Contents kind, String name) {
        assertThat(Contents.of(List.of("something.else", name))).isEqualTo(kind);
        assertThat(kind.itIs()).matches(kind == Contents.UNKNOWN ? "" : "; it is .{10,}");
    }

    @Test
    void of_readsNoQuantityFromAModelsOwnNames() {
        try (TensorStore store = TensorStore.open(Path.of("tests/goldens/model-tiny.safetensors"))) {
            assertThat(Contents.of(store.names())).isEqualTo(Contents.TRANSFORMER);
        }
    }
}
