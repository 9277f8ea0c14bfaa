package capture.figures;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class PromptWordTest {
    private static List<String> words(String... pieces) {
        return PromptWord.of(List.of(pieces), 512).stream()
                .map(word -> word.text() + "@" + word.first() + "+" + word.tokens())
                .toList();
    }

    @Test
    void piecesOfAWord_areOneWord_andPunctuationItsOwn() {
        assertThat(words("▁A", "▁majes", "tic", "▁eagle", ",", "▁", "fly", "ing", ".", "</s>"))
                .containsExactly("A@0+1", "majestic@1+2", "eagle@3+1", ",@4+1", "flying@5+3", ".@8+1", "</s>@9+1");
    }

    @Test
    void scriptsWithoutSpaces_keepTheirPieces() {
        assertThat(words("▁", "一只", "猫", "在", "窗台")).containsExactly("一只@0+2", "猫@2+1", "在@3+1", "窗台@4+1");
    }

    @Test
    void unknownTokens_areCounted_andNoMoreThanWereCaptured() {
        assertThat(PromptWord.of(List.of(), 2)).extracting(PromptWord::text).containsExactly("token 0", "token 1");
        assertThat(PromptWord.of(List.of("▁a", "▁b", "", "▁c"), 2))
                .extracting(PromptWord::text)
                .containsExactly("a", "b");
    }

    @Test
    void sum_addsTheTokensOfAWord() {
        assertThat(new PromptWord("majestic", 1, 2).sum(new float[] {9, 9, 1, 2, 4}, 1))
                .isEqualTo(3f);
    }
}
