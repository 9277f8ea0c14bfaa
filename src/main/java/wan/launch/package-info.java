/**
 * What {@code java -jar wan-attn.jar} starts, on any Java from 17: it finds a JDK that can run the program, starts
 * {@code wan.app.Main} there with the flags it needs, and hands standard streams, signals and the exit code through.
 *
 * <p>This package is compiled for Java 17 and uses {@code java.base} only. It is on the way of every start, so it avoids
 * what is slow in a cold JVM: no lambdas, no streams, no regular expressions.
 */
package wan.launch;
