package wan.weights;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Low-rank adapters (LoRA) that are merged into a model when it is opened.
 *
 * @param file of PEFT, Diffusers, ComfyUI or kohya
 * @param strength factor of all adapters
 * @param alpha for files that do not contain it; null for the rank
 */
public record Lora(Path file, double strength, @Nullable Double alpha) {}
