/** What {@code java -jar wan-attn.jar} starts on any Java from 17: it finds the right JDK and runs the program there. */
package wan.launch;
