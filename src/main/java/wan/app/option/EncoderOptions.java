package wan.app.option;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import wan.app.terminal.Terminal;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.HostTensor;
import wan.run.Program;
import wan.text.PromptEncoder;
import wan.text.TokenIds;
import wan.text.Umt5Encoder;

/** The options that say what encodes a prompt. */
public final class EncoderOptions {
    @Option(
            names = "--text-encoder",
            paramLabel = "PATH",
            description = "The UMT5 encoder, or a folder with it (default: in the model's folder).")
    private @Nullable Path textEncoder;

    @Option(
            names = "--no-cache",
            description = "Neither read nor keep embeddings in $WAN_ATTN_CACHE (default: ~/.cache/wan-attn).")
    private boolean noCache;

    /**
     * Embeddings, as many channels as the encoder has.
     *
     * @param model the folder to look for the encoder in if it was not named, or null
     * @param progress hears of every layer of the encoder
     * @return [texts, textLen, channels]
     */
    public HostTensor encode(List<TokenIds> texts, @Nullable Path model, int textLen, Umt5Encoder.Progress progress) {
        PromptEncoder encoder = new PromptEncoder(
                PromptText.path("--text-encoder", textEncoder, model),
                () -> new JvmOps(JvmOptions.defaults()),
                textLen,
                noCache ? Optional.empty() : Optional.of(PromptEncoder.defaultCacheFolder()));
        return encoder.encode(texts, progress);
    }

    /** Shows on stderr how far the encoder is. */
    public static Umt5Encoder.Progress progress() {
        boolean terminal = Terminal.stderrIsTerminal();
        return (done, layers) -> {
            if (terminal) {
                System.err.print("\r\u001b[K" + (done < layers ? "text encoder: layer " + done + "/" + layers : ""));
            } else if (done == layers) {
                System.err.println(Program.NAME + ": text encoder: " + layers + " layers done");
            }
        };
    }
}
