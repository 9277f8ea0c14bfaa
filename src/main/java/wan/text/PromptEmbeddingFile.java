package wan.text;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;
import tools.jackson.databind.json.JsonMapper;
import wan.file.SafetensorsWriter;
import wan.file.TensorStore;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/** Embeddings of prompts in a safetensors file: {@code prompt_embeds}, named as in Self-Forcing's conditional dictionary. */
public final class PromptEmbeddingFile {
    /** Name of the prompts' tensor. */
    public static final String TENSOR = "prompt_embeds";

    /** Name of the negative prompt's tensor. */
    public static final String NEGATIVE = "negative_prompt_embeds";

    private static final int HEADER_BYTES = 4096;

    private PromptEmbeddingFile() {}

    /**
     * Writes embeddings in float32.
     *
     * @param file replaced when all is written
     * @param embeddings under {@link #TENSOR} and, of a negative prompt, {@link #NEGATIVE}; [prompts, textLen, dim]
     * @param sources what was encoded, for whoever reads the file
     */
    public static void write(
            Path file, SequencedMap<String, HostTensor> embeddings, Map<String, List<String>> sources) {
        try (SafetensorsWriter writer = SafetensorsWriter.create(file, HEADER_BYTES)) {
            embeddings.forEach((name, tensor) ->
                    writer.add(name, DType.F32, tensor.shape()).write(tensor.values()));
            Map<String, String> metadata = new TreeMap<>();
            sources.forEach(
                    (name, texts) -> metadata.put(name, JsonMapper.shared().writeValueAsString(texts)));
            writer.finish(metadata);
        }
    }

    /**
     * Reads embeddings of any float type.
     *
     * @param file with {@code prompt_embeds} [prompts, at most textLen, dim], or without the first axis
     * @return [prompts, textLen, dim], missing rows zero
     * @throws WanException if it cannot be read, or the sizes are not the model's
     */
    public static HostTensor read(Path file, int textLen, int dim) {
        try (TensorStore store = TensorStore.open(file)) {
            TensorView view = store.tensor(TENSOR);
            Shape shape = view.shape();
            boolean fits = (shape.rank() == 2 || shape.rank() == 3) && shape.size() > 0;
            if (!fits || shape.dims()[shape.rank() - 1] != dim || shape.dims()[shape.rank() - 2] > textLen) {
                throw WanException.mismatch(
                        file + ": " + TENSOR,
                        "[prompts, at most " + textLen + ", " + dim + "]",
                        shape,
                        "made for another model?");
            }
            float[] stored = view.toFloats();
            for (float value : stored) {
                if (!Float.isFinite(value)) {
                    throw new FormatException(file, TENSOR + " has values that are no finite numbers");
                }
            }
            int prompts = shape.rank() == 3 ? shape.dim(0) : 1;
            int size = stored.length / prompts;
            HostTensor padded = HostTensor.zeros(Shape.of(prompts, textLen, dim));
            for (int i = 0; i < prompts; i++) {
                System.arraycopy(stored, i * size, padded.values(), i * textLen * dim, size);
            }
            return padded;
        }
    }
}
