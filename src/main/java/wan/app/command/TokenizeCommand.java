package wan.app.command;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import wan.app.guard.Reads;
import wan.app.option.PromptText;
import wan.op.UsageException;
import wan.text.TokenIds;
import wan.text.Tokenizer;

/** {@code wan-attn tokenize}: which tokens a prompt becomes. */
@Command(
        name = "tokenize",
        description = "Shows the tokens of prompts, cleaned and truncated as in the reference. Needs no weights.",
        footer = {
            "",
            "Each row of the table is a row of the embeddings, and so one key of",
            "cross-attention. The rows after </s> are zero; the model attends to them too.",
            "",
            "Examples:",
            "  wan-attn tokenize --model Wan2.1-T2V-1.3B --prompt \"a cat walks\"",
            "  wan-attn tokenize --tokenizer spiece.model --prompt \"a cat walks\" --ids"
        })
public final class TokenizeCommand implements Callable<Integer> {
    @Reads
    @Option(
            names = "--model",
            paramLabel = "DIR",
            description = "A model folder with a tokenizer, in the layout of Wan or Diffusers.")
    private @Nullable Path model;

    @Mixin
    private PromptText text = new PromptText();

    @Option(
            names = "--text-len",
            paramLabel = "TOKENS",
            defaultValue = "" + EncodePromptCommand.WAN_TEXT_LEN,
            description = "Truncate prompts to this many tokens, including </s> (default: ${DEFAULT-VALUE}).")
    private int textLen = EncodePromptCommand.WAN_TEXT_LEN;

    @Option(
            names = "--ids",
            description = "Print only the token ids, one line per prompt, as encode-prompt --token-ids reads them.")
    private boolean onlyIds;

    @Override
    public Integer call() {
        if (textLen < 1) {
            throw new UsageException("--text-len: expected 1 or more, got " + textLen);
        }
        Tokenizer tokenizer = text.tokenizer(model, null);
        String before = "";
        for (String prompt : text.prompts()) {
            TokenIds ids = tokenizer.encodePrompt(prompt, textLen);
            if (onlyIds) {
                System.out.println(ids.line());
            } else {
                System.out.print(before);
                printTable(ids, tokenizer.promptPieces(prompt, textLen));
                before = System.lineSeparator();
            }
        }
        return 0;
    }

    private static void printTable(TokenIds ids, List<String> pieces) {
        System.out.println("row      id  piece");
        for (int row = 0; row < ids.count(); row++) {
            System.out.printf(Locale.ROOT, "%3d  %6d  %s%n", row, ids.ids()[row], pieces.get(row));
        }
    }
}
