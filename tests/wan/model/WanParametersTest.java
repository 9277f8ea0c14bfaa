package wan.model;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import wan.op.Shape;

class WanParametersTest {
    @Test
    void shapes_countsOneAndAHalfBillion_whenTheModelIsTheReleasedOne() {
        var shapes = WanParameters.shapes(WanConfig.wan13b());
        assertThat(shapes).hasSize(15 + 30 * 27);
        assertThat(shapes.values().stream().mapToLong(Shape::size).sum()).isEqualTo(1_418_996_800L);
        assertThat(shapes).containsEntry("blocks.29.ffn.0.weight", Shape.of(8960, 1536));
        assertThat(shapes).containsEntry("head.head.weight", Shape.of(64, 1536));
        assertThat(shapes.firstEntry().getKey()).isEqualTo("patch_embedding.weight");
    }
}
