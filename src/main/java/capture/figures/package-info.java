/**
 * Pictures of captured attention: one description of a figure, written as SVG with real text or as PNG, and the interactive report.
 * Nothing here needs a display or the network.
 */
@NullMarked
package capture.figures;

import org.jspecify.annotations.NullMarked;
