/** The command line: what {@code wan-attn} takes, and how it answers. The only package that sees all others. */
@NullMarked
package wan.app;

import org.jspecify.annotations.NullMarked;
