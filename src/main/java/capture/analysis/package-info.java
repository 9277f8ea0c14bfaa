/**
 * What captured attention says: result files read back, the field's measures of heads, published rules for head roles, agreement
 * between runs, and the files that other projects' tools read. Pure arithmetic on frame logits, frame mass and key logits; nothing
 * here runs a model.
 */
@NullMarked
package capture.analysis;

import org.jspecify.annotations.NullMarked;
