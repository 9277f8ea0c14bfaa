package wan.text;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;
import tools.jackson.databind.json.JsonMapper;
import wan.file.Contents;
import wan.file.Messages;
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

    /** What else scripts call them, in the order in which they are looked for. */
    private static final List<String> OTHER_NAMES = List.of(
            "prompt_embeds",
            "prompt_embed",
            "prompt_embedding",
            "prompt_embeddings",
            "encoder_hidden_states",
            "text_embeds",
            "text_embeddings",
            "text_states",
            "embeddings",
            "embedding",
            "embeds",
            "context",
            "tensor",
            "arr_0");

    private PromptEmbeddingFile() {}

    /**
     * The prompts' tensors in a file: one under {@link #TENSOR} or another usual name, at the top or one level down, the only tensor
     * there is, or the tensors of a list, one per prompt, as Wan's text encoder returns them.
     */
    private static List<TensorView> find(TensorStore store) {
        Contents contents = Contents.of(store.names());
        if (contents != Contents.UNKNOWN
                && contents != Contents.EMBEDDINGS
                && !store.names().contains(TENSOR)) {
            throw new FormatException(
                    store.path(), "expected embeddings of prompts under the name " + TENSOR + contents.itIs());
        }
        List<String> names = store.names().stream()
                .filter(name -> !name.substring(name.lastIndexOf('/') + 1).contains("negative"))
                .toList();
        for (String usual : OTHER_NAMES) {
            List<String> found = names.stream()
                    .filter(name -> name.equals(usual) || name.endsWith("/" + usual) || name.matches(usual + "/\\d+"))
                    .toList();
            if (!found.isEmpty()) {
                return views(store, found);
            }
        }
        if (names.size() == 1 || (!names.isEmpty() && names.stream().allMatch(name -> name.matches("\\d+")))) {
            return views(store, names);
        }
        throw new WanException(store.path() + ": expected embeddings under the name " + TENSOR
                + ", a list of them, or a file of one tensor, got "
                + (names.isEmpty() ? "no tensor" : Messages.shown(String.join(", ", names))));
    }

    private static List<TensorView> views(TensorStore store, List<String> names) {
        List<TensorView> views = names.stream().map(store::tensor).toList();
        boolean several = views.size() > 1;
        for (TensorView view : views) {
            int rank = view.shape().rank();
            boolean one = rank == 2 || (rank == 3 && view.shape().dim(0) == 1);
            if ((several && !one) || rank < 2 || rank > 3) {
                throw WanException.mismatch(
                        store.path() + ": " + Messages.shown(view.name()),
                        several ? "[tokens, dim] of one prompt, as the others" : "[prompts, tokens, dim]",
                        view.shape(),
                        "");
            }
        }
        return views;
    }

    /** How many prompts a file holds; its values are not read. */
    public static int count(Path file) {
        try (TensorStore store = TensorStore.open(file)) {
            List<TensorView> views = find(store);
            Shape first = views.getFirst().shape();
            return views.size() > 1 || first.rank() == 2 ? views.size() : first.dim(0);
        }
    }

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
     * @param file as {@link #write} makes it, or as scripts do: one tensor, an array of NumPy, a list of [tokens, dim], a dict of other
     *     usual names; [prompts, at most textLen, dim], or without the first axis
     * @return [prompts, textLen, dim], missing rows zero
     * @throws WanException if it cannot be read, or the sizes are not the model's
     */
    public static HostTensor read(Path file, int textLen, int dim) {
        try (TensorStore store = TensorStore.open(file)) {
            List<float[]> prompts = new ArrayList<>();
            for (TensorView view : find(store)) {
                Shape shape = view.shape();
                boolean fits = shape.size() > 0;
                if (!fits || shape.dims()[shape.rank() - 1] != dim || shape.dims()[shape.rank() - 2] > textLen) {
                    throw WanException.mismatch(
                            file + ": " + Messages.shown(view.name()),
                            "[prompts, at most " + textLen + ", " + dim + "]",
                            shape,
                            "made for another model?");
                }
                float[] stored = view.toFloats();
                for (float value : stored) {
                    if (!Float.isFinite(value)) {
                        throw new FormatException(
                                file, Messages.shown(view.name()) + " has values that are not finite");
                    }
                }
                int its = shape.rank() == 3 ? shape.dim(0) : 1;
                int size = stored.length / its;
                for (int i = 0; i < its; i++) {
                    prompts.add(Arrays.copyOfRange(stored, i * size, (i + 1) * size));
                }
            }
            HostTensor padded = HostTensor.zeros(Shape.of(prompts.size(), textLen, dim));
            for (int i = 0; i < prompts.size(); i++) {
                System.arraycopy(prompts.get(i), 0, padded.values(), i * textLen * dim, prompts.get(i).length);
            }
            return padded;
        }
    }
}
