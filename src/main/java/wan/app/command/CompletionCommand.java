package wan.app.command;

import java.util.concurrent.Callable;
import picocli.AutoComplete;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;
import wan.run.Program;

/** {@code wan-attn completion}: the script that completes our commands and options in bash and zsh. */
@Command(
        name = "completion",
        description = "Prints a script that completes commands and options in bash and zsh.",
        footer = {
            "",
            "The shell completes a command that it knows by name:",
            "  alias wan-attn='java -jar /path/to/wan-attn.jar'",
            "bash, in ~/.bashrc:",
            "  source <(wan-attn completion)",
            "zsh, in ~/.zshrc:",
            "  autoload -U +X compinit && compinit",
            "  autoload -U +X bashcompinit && bashcompinit",
            "  source <(wan-attn completion)"
        })
public final class CompletionCommand implements Callable<Integer> {
    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it before anything is called
    private CommandSpec spec;

    @Override
    public Integer call() {
        spec.commandLine()
                .getOut()
                .print(AutoComplete.bash(Program.NAME, spec.root().commandLine()));
        spec.commandLine().getOut().flush();
        return 0;
    }
}
