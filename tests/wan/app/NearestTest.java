package wan.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NearestTest {
    private static final List<String> OPTIONS =
            List.of("-h", "--help", "--heads", "--heap", "--layer", "--layers", "--passes", "--frame-blocks");

    @ParameterizedTest
    @CsvSource({"'',abc,3", "abc,abc,0", "abc,abd,1", "abc,ab,1", "abc,acb,1", "kitten,sitting,3", "ab,ba,1"})
    void edits_areCounted(String a, String b, int edits) {
        assertThat(Nearest.edits(a, b)).isEqualTo(edits);
        assertThat(Nearest.edits(b, a)).isEqualTo(edits);
    }

    @Test
    void of_namesWhatIsNear_nearestFirst() {
        assertThat(Nearest.of("--lyaer", OPTIONS)).containsExactly("--layer", "--layers");
        assertThat(Nearest.of("--frame", OPTIONS)).containsExactly("--frame-blocks");
        assertThat(Nearest.of("--hea", OPTIONS)).containsExactly("--heap", "--heads");
    }

    @Test
    void of_isEmpty_whenNothingIsNear() {
        assertThat(Nearest.of("--quantity", OPTIONS)).isEmpty();
        assertThat(Nearest.of("-x", OPTIONS)).isEmpty();
    }
}
