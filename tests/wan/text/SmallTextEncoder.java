package wan.text;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;
import wan.file.SafetensorsWriter;
import wan.file.TensorStore;
import wan.op.DType;
import wan.op.Shape;
import wan.op.TensorView;

/** A folder laid out as Wan releases it: the golden encoder, with an embedding for the golden tokenizer's 2000 pieces. */
public final class SmallTextEncoder {
    /** Where the weights lie in it. */
    public static final String WEIGHTS = "models_t5_umt5-xxl-enc-bf16.safetensors";

    private static final int DIM = 48;

    private SmallTextEncoder() {}

    /** Writes the files. */
    public static void create(Path folder) throws IOException {
        Path tokenizer = folder.resolve("google/umt5-xxl/spiece.model");
        Files.createDirectories(tokenizer.resolveSibling(""));
        Files.copy(TokenizerGolden.MAIN.model, tokenizer);
        try (Umt5Golden golden = new Umt5Golden();
                SafetensorsWriter writer = SafetensorsWriter.create(folder.resolve(WEIGHTS), 8192)) {
            TensorStore weights = golden.weights(UnaryOperator.identity());
            for (String name : weights.names()) {
                if (!name.equals("token_embedding.weight")) {
                    TensorView view = weights.tensor(name);
                    writer.add(name, DType.BF16, view.shape()).write(view.toFloats());
                }
            }
            Random random = new Random(1);
            float[] embedding = new float[2000 * DIM];
            for (int i = 0; i < embedding.length; i++) {
                embedding[i] = (float) random.nextGaussian();
            }
            writer.add("token_embedding.weight", DType.BF16, Shape.of(2000, DIM))
                    .write(embedding);
            writer.finish(Map.of());
        }
    }
}
