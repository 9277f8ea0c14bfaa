/** The causal Wan2.1 transformer, written once over {@link wan.op.Ops}; it knows no backend, no file and no schedule. */
@NullMarked
package wan.model;

import org.jspecify.annotations.NullMarked;
