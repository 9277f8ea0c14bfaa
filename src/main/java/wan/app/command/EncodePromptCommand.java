package wan.app.command;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import wan.app.guard.Force;
import wan.app.guard.OutputKind;
import wan.app.guard.Reads;
import wan.app.guard.Writes;
import wan.app.option.EncoderOptions;
import wan.app.option.PromptText;
import wan.app.terminal.TerminalMonitor;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.UsageException;
import wan.op.WanException;
import wan.text.PromptEmbeddingFile;
import wan.text.TokenIds;

/** {@code wan-attn encode-prompt}: prompts to the embeddings that the transformer attends to, in a file. */
@Command(
        name = "encode-prompt",
        description = "Encodes prompts with the UMT5 text encoder and writes the embeddings.",
        footer = {
            "",
            "Writes the tensor prompt_embeds [prompts, text length, channels] in float32, for",
            "extract --prompt-embeds. Rows after a prompt's tokens are zero. A negative",
            "prompt adds negative_prompt_embeds. Embeddings are cached and not computed",
            "again.",
            "",
            "Examples:",
            "  wan-attn encode-prompt --model Wan2.1-T2V-1.3B --prompt \"a cat walks\" \\",
            "      --output cat.safetensors",
            "  wan-attn encode-prompt --text-encoder models_t5_umt5-xxl-enc-bf16.pth \\",
            "      --token-ids ids.txt --output cat.safetensors"
        })
public final class EncodePromptCommand implements Callable<Integer> {
    /** Rows of an embedding in every Wan2.1 model. */
    static final int WAN_TEXT_LEN = 512;

    @Reads
    @Option(
            names = "--model",
            paramLabel = "DIR",
            description = "A model folder with text encoder and tokenizer, in the layout of Wan or Diffusers.")
    private @Nullable Path model;

    @Mixin
    private PromptText text = new PromptText();

    @Mixin
    private EncoderOptions encoder = new EncoderOptions();

    @Reads
    @Option(
            names = "--token-ids",
            paramLabel = "FILE",
            description = "Token ids instead of prompts: a text file with one prompt per line and ids separated by"
                    + " spaces or commas, as printed by tokenize --ids or Python. Ids must include </s>; zeros at"
                    + " the end are padding.")
    private @Nullable Path tokenIds;

    @Option(
            names = "--negative-prompt",
            paramLabel = "TEXT",
            description = "Negative prompt, for samplers with classifier-free guidance.")
    private @Nullable String negativePrompt;

    @Option(
            names = "--text-len",
            paramLabel = "TOKENS",
            defaultValue = "" + WAN_TEXT_LEN,
            description = "Number of rows of an embedding (default: ${DEFAULT-VALUE}).")
    private int textLen = WAN_TEXT_LEN;

    @Writes(OutputKind.EMBEDDINGS)
    @Option(
            names = {"-o", "--output", "--out"},
            required = true,
            paramLabel = "FILE",
            description = "The .safetensors file to write. Required.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path out;

    @Mixin
    @SuppressWarnings("UnusedVariable") // the guard asks picocli for it
    private Force force = new Force();

    @Override
    public Integer call() {
        if (textLen < 1) {
            throw new UsageException("--text-len: expected 1 or more, got " + textLen);
        }
        if ((tokenIds != null) == text.given()) {
            throw new UsageException("expected one of --prompt, --prompt-file and --token-ids, got "
                    + (tokenIds == null ? "none" : "--token-ids and another"));
        }
        Map<String, List<String>> sources = new TreeMap<>();
        List<TokenIds> texts = new ArrayList<>();
        if (tokenIds != null) {
            texts.addAll(read(tokenIds));
            sources.put("token_ids", texts.stream().map(TokenIds::line).toList());
        } else {
            List<String> prompts = text.prompts();
            sources.put("prompts", prompts);
            texts.addAll(text.ids(prompts, model, encoder.textEncoder(), textLen));
        }
        int count = texts.size();
        if (negativePrompt != null) {
            sources.put("negative_prompts", List.of(negativePrompt));
            texts.addAll(text.ids(List.of(negativePrompt), model, encoder.textEncoder(), textLen));
        }

        HostTensor all = encoder.encode(texts, model, textLen, new TerminalMonitor(System.err, false, false)::encoding);
        SequencedMap<String, HostTensor> embeddings = new LinkedHashMap<>();
        embeddings.put(PromptEmbeddingFile.TENSOR, rows(all, 0, count));
        if (negativePrompt != null) {
            embeddings.put(PromptEmbeddingFile.NEGATIVE, rows(all, count, texts.size()));
        }
        PromptEmbeddingFile.write(out, embeddings, sources);
        embeddings.forEach((name, tensor) -> System.out.println(out + ": " + name + " " + tensor.shape()));
        return 0;
    }

    private List<TokenIds> read(Path file) {
        List<TokenIds> texts = new ArrayList<>();
        for (String line : PromptText.lines(file)) {
            String where = file + ": prompt " + (texts.size() + 1);
            TokenIds ids = TokenIds.parse(line, where);
            if (ids.count() > textLen) {
                throw WanException.mismatch(
                        where, "at most " + textLen + " ids", ids.count(), "--text-len allows more");
            }
            texts.add(ids);
        }
        return texts;
    }

    /** Some of the embeddings: [to - from, textLen, channels]. */
    private static HostTensor rows(HostTensor all, int from, int to) {
        Shape shape = all.shape();
        int size = shape.dim(1) * shape.dim(2);
        return new HostTensor(
                Shape.of(to - from, shape.dim(1), shape.dim(2)),
                Arrays.copyOfRange(all.values(), from * size, to * size));
    }
}
