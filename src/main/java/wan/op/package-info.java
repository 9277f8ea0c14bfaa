/**
 * Tensors, shapes, the operations of the model, and the attention tap, on which everything else is built.
 *
 * <p>The model is written once over {@link wan.op.Ops}; a backend executes the calls at once ({@code wan.jvm}) or records
 * them (TornadoVM). Nothing here depends on anything but the JDK.
 */
@NullMarked
package wan.op;

import org.jspecify.annotations.NullMarked;
