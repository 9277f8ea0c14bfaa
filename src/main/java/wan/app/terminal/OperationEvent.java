package wan.app.terminal;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** One operation in a Java Flight Recorder file, beside the collector's and the compiler's events. */
@Name("wan.Operation")
@Label("Operation")
@Category("wan-attn")
@StackTrace(false)
final class OperationEvent extends Event {
    @Label("Operation")
    String operation = "";

    @Label("Layers done before in this pass")
    int layer;

    @Label("Floating-point operations")
    double flops;
}
