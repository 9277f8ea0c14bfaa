package capture.figures;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * A word of the prompt: neighbouring tokens of which the first begins with a space.
 *
 * @param text as people read it
 * @param first its first token
 * @param tokens how many it is made of
 */
record PromptWord(String text, int first, int tokens) {
    /** Whose words have no spaces between them; there a piece is a word. */
    private static final Set<Character.UnicodeScript> UNSPACED = EnumSet.of(
            Character.UnicodeScript.HAN,
            Character.UnicodeScript.HIRAGANA,
            Character.UnicodeScript.KATAKANA,
            Character.UnicodeScript.THAI,
            Character.UnicodeScript.LAO,
            Character.UnicodeScript.KHMER,
            Character.UnicodeScript.MYANMAR);

    /** Stands for a space in pieces of SentencePiece. */
    private static final String SPACE = "\u2581";

    /**
     * The words of a prompt.
     *
     * @param pieces of its tokens, or none if they are not known; each token is a word then
     * @param captured tokens there are values of
     */
    static List<PromptWord> of(List<String> pieces, int captured) {
        List<PromptWord> words = new ArrayList<>();
        if (pieces.isEmpty()) {
            for (int i = 0; i < captured; i++) {
                words.add(new PromptWord("token " + i, i, 1));
            }
            return words;
        }
        int count = Math.min(pieces.size(), captured);
        for (int i = 0, end; i < count; i = end) {
            end = i + 1;
            while (end < count && continues(pieces.get(end), pieces.get(end - 1))) {
                end++;
            }
            String text =
                    String.join("", pieces.subList(i, end)).replace(SPACE, " ").strip();
            if (!text.isEmpty()) {
                words.add(new PromptWord(text, i, end - i));
            }
        }
        return words;
    }

    private static boolean continues(String piece, String before) {
        if (before.equals(SPACE) || piece.isEmpty()) {
            return true;
        }
        int start = piece.codePointAt(0);
        return Character.isLetterOrDigit(start) && !UNSPACED.contains(Character.UnicodeScript.of(start));
    }

    /** The sum of its tokens' values, which begin somewhere in a list. */
    float sum(float[] values, int at) {
        float sum = 0;
        for (int i = 0; i < tokens; i++) {
            sum += values[at + first + i];
        }
        return sum;
    }
}
