package wan.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import wan.Goldens;
import wan.jvm.JvmOps;
import wan.jvm.JvmOptions;
import wan.op.DType;
import wan.op.HostTensor;
import wan.op.Ops;
import wan.op.Scope;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;
import wan.op.WeightSource;

/** First and last frame to video: position embeddings of the tokens of two pictures, over the golden weights of one. */
class ImageEmbeddingTest {
    private static final int TOKENS = 6;
    private static final Random RANDOM = new Random(1);

    private final Goldens golden = Goldens.open("golden3/i2v");
    private final WeightSource weights = golden.weights("weights/");
    private final Ops ops = new JvmOps(new JvmOptions(2, JvmOptions.Kind.AUTO));
    private final int width = golden.get("clip_fea").shape().dim(2);
    private final WanConfig plain = Goldens.modelConfig(golden.config().get("model_config"));

    @AfterEach
    void close() {
        ops.close();
        golden.close();
    }

    private float[] embed(WanConfig config, WeightSource weights, HostTensor features) {
        try (Scope _ = ops.scope()) {
            ImageEmbedding embedding = new ImageEmbedding(config, new Weights(config, weights, ops).in("img_emb."));
            return ops.read(embedding.embed(features));
        }
    }

    private static float[] normal(int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) RANDOM.nextGaussian();
        }
        return values;
    }

    @Test
    void positions_areAddedToTheTokensOfBothPictures() {
        float[] features = normal(2 * TOKENS * width);
        float[] positions = normal(2 * TOKENS * width);
        float[] sum = features.clone();
        for (int i = 0; i < sum.length; i++) {
            sum[i] += positions[i];
        }
        WeightSource with = (name, shape) ->
                name.equals("img_emb.emb_pos") ? view(name, shape, positions) : weights.get(name, shape);
        Shape shape = Shape.of(1, 2 * TOKENS, width);
        WanConfig two = plain.withImage(width, 2 * TOKENS);
        assertThat(embed(two, with, new HostTensor(shape, features)))
                .isEqualTo(embed(plain.withImage(width, 0), weights, new HostTensor(shape, sum)));

        HostTensor one = new HostTensor(Shape.of(1, TOKENS, width), normal(TOKENS * width));
        assertThatThrownBy(() -> embed(two, with, one))
                .isInstanceOf(WanException.class)
                .hasMessageContaining("12 tokens of the first and the last frame");
    }

    private static TensorView view(String name, Shape shape, float[] values) {
        assertThat(shape.size()).isEqualTo(values.length);
        return new TensorView(name, DType.F32, shape, MemorySegment.ofArray(values));
    }
}
