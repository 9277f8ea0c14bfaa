package wan.weights;

import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import wan.file.Contents;
import wan.op.FormatException;
import wan.op.Shape;

/** Models that are recognised by their tensors but cannot be run, each with the reason and what to do. */
final class Unsupported {
    private Unsupported() {}

    /** Throws {@link FormatException} for such a model. */
    static void refuse(Path file, Map<String, Shape> shapes) {
        String why = reason(shapes);
        if (why != null) {
            throw new FormatException(file, why);
        }
    }

    private static @Nullable String reason(Map<String, Shape> shapes) {
        for (String name : shapes.keySet()) {
            if (name.startsWith("vace_")) {
                return "a VACE model, whose control layers are not supported; use the text-to-video model of the same size";
            }
            if (name.startsWith("face_") || name.startsWith("motion_encoder.") || name.startsWith("audio_proj.")) {
                return "a model driven by a face, motion or sound, which is not supported; use a text-to-video or"
                        + " image-to-video model";
            }
            if (name.startsWith("fps_embedding.") || name.startsWith("fps_projection.")) {
                return "a SkyReels-V2 model, which embeds frame rates and denoises without a cache; not supported";
            }
        }
        Contents contents = Contents.of(shapes.keySet());
        return contents == Contents.UNKNOWN || contents == Contents.TRANSFORMER ? null : contents.words();
    }
}
