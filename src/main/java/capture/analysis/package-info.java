/**
 * Analysis of captured attention: reading result files, measures of heads, published rules for head roles, agreement
 * between runs, and files for other projects' tools. Pure arithmetic on frame logits, frame mass and key logits; nothing
 * here runs a model.
 */
@NullMarked
package capture.analysis;

import org.jspecify.annotations.NullMarked;
