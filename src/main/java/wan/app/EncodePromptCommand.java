package wan.app;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import wan.op.HostTensor;
import wan.op.UsageException;
import wan.text.PromptEmbeddingFile;

/** {@code wan-attn encode-prompt}: prompts to the embeddings that the transformer attends to, in a file. */
@Command(
        name = "encode-prompt",
        description = "Encodes prompts with the UMT5 text encoder and writes the embeddings.",
        footer = {
            "",
            "Writes tensor prompt_embeds [prompts, text length, channels] in float32, rows behind a prompt's",
            "tokens zero. Embeddings are kept by content: a prompt is encoded once.",
            "",
            "  wan-attn encode-prompt --model Wan2.1-T2V-1.3B --prompt \"a cat walks\" --out cat.safetensors"
        })
final class EncodePromptCommand implements Callable<Integer> {
    private static final int WAN_TEXT_LEN = 512;

    @Option(
            names = "--model",
            paramLabel = "DIR",
            description = "A folder with text encoder and tokenizer: Wan's own, or Diffusers'.")
    private @Nullable Path model;

    @Mixin
    private PromptOptions prompts = new PromptOptions();

    @Option(
            names = "--text-len",
            paramLabel = "TOKENS",
            defaultValue = "" + WAN_TEXT_LEN,
            description = "Rows of an embedding (default: ${DEFAULT-VALUE}).")
    private int textLen = WAN_TEXT_LEN;

    @Option(names = "--out", required = true, paramLabel = "FILE", description = "The .safetensors file to write.")
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private Path out;

    @Override
    public Integer call() {
        if (textLen < 1) {
            throw new UsageException("--text-len: expected 1 or more, got " + textLen);
        }
        HostTensor embeddings = prompts.encode(model, textLen, PromptOptions.progress());
        PromptEmbeddingFile.write(out, prompts.prompts(), embeddings);
        System.out.println(out + ": prompt_embeds " + embeddings.shape());
        return 0;
    }
}
