package wan.app.terminal;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;

/** Whether standard error is a terminal; the JDK only reports this for standard input and output together. */
public final class Terminal {
    private static final int STDERR = 2;

    private Terminal() {}

    /** What the launcher found out, whose pipe our stderr is; otherwise what the C library says, false where it is not there. */
    @SuppressWarnings("restricted") // a function of the C library that only reads a descriptor
    public static boolean stderrIsTerminal() {
        String told = System.getProperty("wan.stderr.terminal");
        if (told != null) {
            return Boolean.parseBoolean(told);
        }
        try {
            Linker linker = Linker.nativeLinker();
            String name = System.getProperty("os.name", "").startsWith("Windows") ? "_isatty" : "isatty";
            var isatty = linker.defaultLookup()
                    .find(name)
                    .map(address -> linker.downcallHandle(
                            address, FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT)));
            return isatty.isPresent() && (int) isatty.get().invokeExact(STDERR) != 0;
        } catch (Throwable e) { // invokeExact declares Throwable; without an answer, plain lines are right
            return false;
        }
    }
}
