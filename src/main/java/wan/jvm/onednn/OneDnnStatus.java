package wan.jvm.onednn;

import wan.jvm.JvmOptions;
import wan.op.UsageException;

/**
 * Whether {@link JvmOptions.Kind#ONEDNN_BF16} and its siblings can be used here.
 *
 * @param version of the library, empty if it is not there
 * @param isa what of the processor it uses, in its own words
 * @param bfloat16 whether the processor multiplies bfloat16 itself; oneDNN emulates it elsewhere, slowly
 * @param int8 whether the processor sums products of bytes in 32 bits; elsewhere int8 is refused
 * @param problem what is missing, and how to add it; empty if nothing is
 */
public record OneDnnStatus(String version, String isa, boolean bfloat16, boolean int8, String problem) {
    /** Looks for the library; never throws because it is not there. */
    public static OneDnnStatus find() {
        try {
            OneDnnLibrary library = OneDnnLibrary.get();
            return new OneDnnStatus(library.version(), library.isa(), library.hasBfloat16(), library.hasInt8(), "");
        } catch (UsageException e) {
            return new OneDnnStatus("", "", false, false, String.valueOf(e.getMessage()));
        }
    }

    /** Whether it can be used. */
    public boolean isThere() {
        return problem.isEmpty();
    }
}
