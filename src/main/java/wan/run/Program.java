package wan.run;

/** What this program calls itself, in messages and in the files that it writes. */
public final class Program {
    /** The name of the command. */
    public static final String NAME = "wan-attn";

    private Program() {}

    /** The version in the jar's manifest. */
    public static String version() {
        String version = Program.class.getPackage().getImplementationVersion();
        return version == null ? "(not packaged)" : version;
    }
}
