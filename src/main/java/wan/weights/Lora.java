package wan.weights;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Low-rank adapters that are merged into a model as it is opened.
 *
 * @param file of PEFT, Diffusers, ComfyUI or kohya
 * @param strength what all of it is multiplied with
 * @param alpha of files that do not say it; null for the rank
 */
public record Lora(Path file, double strength, @Nullable Double alpha) {}
