package wan.text;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What Hugging Face's fast tokenizers do with a converted unigram model: special tokens are found first, what lies between
 * them is normalized and cut into words, and each word is segmented on its own.
 */
final class FastTokenizer extends Tokenizer {
    /**
     * A token that is recognised literally in a text.
     *
     * @param eatLeft whether white space in front of it goes
     * @param eatRight whether white space behind it goes
     */
    record Added(String text, int id, boolean eatLeft, boolean eatRight) {}

    /** Which stretches between special tokens get a mark in front. */
    enum Prefix {
        /** All of them. */
        ALWAYS,
        /** Only one at the start of the text. */
        FIRST,
        /** None. */
        NEVER
    }

    /**
     * How a stretch of text between special tokens becomes words.
     *
     * @param prefix which stretches get a mark in front
     * @param splitsAtMarks whether each mark begins a word
     * @param splitsAtSpaces whether white space separates stretches, before it is marked
     */
    record Words(Prefix prefix, boolean splitsAtMarks, boolean splitsAtSpaces) {}

    private static final Pattern SPACES = Pattern.compile("\\s+");

    private final Map<String, Added> added;
    private final Pattern addedPattern;
    private final UnaryOperator<String> normalizer;
    private final Words words;

    FastTokenizer(
            Unigram vocabulary,
            boolean byteFallback,
            int endOfText,
            int padding,
            List<Added> added,
            UnaryOperator<String> normalizer,
            Words words) {
        super(vocabulary, byteFallback, endOfText, padding);
        this.added = added.stream().collect(Collectors.toMap(Added::text, token -> token, (a, _) -> a));
        // The longest of those that begin at one place counts.
        this.addedPattern = Pattern.compile(added.stream()
                .sorted((a, b) -> Integer.compare(b.text.length(), a.text.length()))
                .map(token -> (token.eatLeft ? "\\s*" : "") + "(?:" + Pattern.quote(token.text) + ")"
                        + (token.eatRight ? "\\s*" : ""))
                .collect(Collectors.joining("|")));
        this.normalizer = normalizer;
        this.words = words;
    }

    @Override
    List<Token> tokens(String prompt) {
        String text = replaceUnpairedSurrogates(prompt);
        List<Token> out = new ArrayList<>();
        int done = 0;
        Matcher matcher = addedPattern.matcher(text);
        while (!added.isEmpty() && matcher.find()) {
            stretch(text.substring(done, matcher.start()), done == 0, out);
            String literal = added.containsKey(matcher.group())
                    ? matcher.group()
                    : matcher.group().strip();
            Added token = added.get(literal);
            if (token != null) {
                out.add(new Token(token.text, token.id));
            }
            done = matcher.end();
        }
        stretch(text.substring(done), done == 0, out);
        return out;
    }

    private void stretch(String text, boolean first, List<Token> out) {
        String normalized = normalizer.apply(text);
        if (words.splitsAtSpaces) {
            SPACES.splitAsStream(normalized).forEach(word -> words(word, first, out));
        } else {
            words(normalized, first, out);
        }
    }

    private void words(String text, boolean first, List<Token> out) {
        char mark = SentencePieceTokenizer.MARK;
        String marked = text.replace(' ', mark);
        if (marked.isEmpty()) {
            return;
        }
        boolean wantsPrefix = words.prefix == Prefix.ALWAYS || (words.prefix == Prefix.FIRST && first);
        if (wantsPrefix && marked.charAt(0) != mark) {
            marked = mark + marked;
        }
        int start = 0;
        for (int end = 1; words.splitsAtMarks && end < marked.length(); end++) {
            if (marked.charAt(end) == mark) {
                segment(marked.substring(start, end), out);
                start = end;
            }
        }
        segment(marked.substring(start), out);
    }
}
