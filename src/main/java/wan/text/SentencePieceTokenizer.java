package wan.text;

import java.util.ArrayList;
import java.util.List;
import wan.op.FormatException;

/** What SentencePiece itself does with a unigram model. */
final class SentencePieceTokenizer extends Tokenizer {
    /** U+2581, which stands for a space inside of pieces. */
    static final char MARK = '\u2581';

    /**
     * What becomes of white space.
     *
     * @param addPrefix whether a mark goes in front of the text
     * @param removeExtra whether leading and trailing spaces go and runs become one
     * @param escape whether spaces become marks
     */
    record Whitespace(boolean addPrefix, boolean removeExtra, boolean escape) {
        String apply(String text) {
            int start = 0;
            while (removeExtra && start < text.length() && text.charAt(start) == ' ') {
                start++;
            }
            if (start == text.length()) {
                return "";
            }
            char space = escape ? MARK : ' ';
            StringBuilder out = new StringBuilder(text.length() + 1);
            if (addPrefix) {
                out.append(space);
            }
            for (int i = start; i < text.length(); i++) {
                char c = text.charAt(i);
                if (c != ' ') {
                    out.append(c);
                } else if (!removeExtra || text.charAt(i - 1) != ' ') {
                    out.append(space);
                }
            }
            while (removeExtra && !out.isEmpty() && out.charAt(out.length() - 1) == space) {
                out.setLength(out.length() - 1);
            }
            return out.toString();
        }
    }

    private final CharacterMap map;
    private final Whitespace whitespace;

    /**
     * A tokenizer.
     *
     * @param file for messages
     * @throws FormatException if the vocabulary has no {@code </s>}
     */
    SentencePieceTokenizer(
            Object file, Unigram vocabulary, CharacterMap map, boolean byteFallback, Whitespace whitespace) {
        super(vocabulary, byteFallback, vocabulary.id("</s>"), vocabulary.id("<pad>"));
        if (vocabulary.id("</s>") < 0) {
            throw new FormatException(
                    file, "the vocabulary of " + vocabulary.size() + " pieces has no </s>; not UMT5's?");
        }
        this.map = map;
        this.whitespace = whitespace;
    }

    @Override
    List<Token> tokens(String text) {
        List<Token> out = new ArrayList<>();
        segment(whitespace.apply(map.apply(replaceUnpairedSurrogates(text))), out);
        return out;
    }
}
