package wan.app.guard;

import picocli.CommandLine.Option;

/** The option of every command that writes results. {@link FileGuard} looks at it, and at the same one of other commands. */
public final class Force {
    static final String NAME = "--force";

    @Option(
            names = NAME,
            description = "Overwrite existing files of any origin. Without it, only a file that this command wrote is"
                    + " replaced, and only by a complete new one. Inputs of the command are never overwritten.")
    @SuppressWarnings("UnusedVariable") // the guard asks picocli for it
    private boolean force;
}
