/**
 * The vocabulary everything else is written in: tensors, shapes, the model's operations, and the attention tap.
 *
 * <p>The model is written once over {@link wan.op.Ops}; a backend executes the calls at once ({@code wan.jvm}) or records
 * them (TornadoVM). Nothing here depends on anything but the JDK.
 */
@NullMarked
package wan.op;

import org.jspecify.annotations.NullMarked;
