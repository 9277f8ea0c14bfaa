/**
 * The TornadoVM backend: the model's operations recorded into task graphs that run on an OpenCL or CUDA device.
 *
 * <p>{@link tornado.TornadoOps} turns each operation into calls of kernels, cuts them into segments, and runs every segment as
 * one task graph ({@link tornado.Program}) whose shapes, addresses and page tables are integers in a small transferred array:
 * one recording serves all layers, passes and frame blocks. Kernels are plain static methods, tested on the JVM.
 */
@NullMarked
package tornado;

import org.jspecify.annotations.NullMarked;
