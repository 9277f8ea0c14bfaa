package wan.launch;

/** Probe. */
public final class Launcher {
    private Launcher() {}

    /** Main. */
    public static void main(String[] args) {}
}
