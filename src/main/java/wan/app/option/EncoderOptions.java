package wan.app.option;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.app.guard.Reads;
import wan.jvm.JvmOptions;
import wan.op.HostTensor;
import wan.run.Prompts;
import wan.text.TokenIds;
import wan.text.Umt5Encoder;

/** The options that say what encodes a prompt. */
public final class EncoderOptions {
    @Reads
    @Option(
            names = "--text-encoder",
            paramLabel = "PATH",
            description = "The UMT5 text encoder, or a folder that contains it (default: in the model's folder).")
    private @Nullable Path textEncoder;

    @Option(
            names = "--no-cache",
            description = "Do not read or store embeddings in the cache, $WAN_ATTN_CACHE (default: ~/.cache/wan-attn).")
    private boolean noCache;

    /**
     * Embeddings, as many channels as the encoder has.
     *
     * @param model the folder to look for the encoder in if it was not named, or null
     * @param progress hears of every layer of the encoder
     * @return [texts, textLen, channels]
     */
    public HostTensor encode(List<TokenIds> texts, @Nullable Path model, int textLen, Umt5Encoder.Progress progress) {
        return Prompts.encode(
                texts,
                PromptText.path("--text-encoder", textEncoder, model),
                textLen,
                !noCache,
                JvmOptions.defaults().threads(),
                progress);
    }

    /** The encoder that was named, or null. */
    public @Nullable Path textEncoder() {
        return textEncoder;
    }

    /** Whether embeddings are kept. */
    boolean keep() {
        return !noCache;
    }
}
