package wan.text;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import wan.file.Messages;
import wan.op.FormatException;

/** A regular expression from an untrusted file: endless backtracking is an error, not a hang. */
final class BoundedRegex {
    private static final int MOST_CHARACTERS = 1000;
    /** Reads of a character, at least and for each one of the text: linear patterns need a few. */
    private static final int STEPS = 100_000;

    private static final long STEPS_PER_CHARACTER = 1000;

    private final Object file;
    private final Pattern pattern;

    private BoundedRegex(Object file, Pattern pattern) {
        this.file = file;
        this.pattern = pattern;
    }

    /**
     * Compiles an expression.
     *
     * @param file for messages
     * @throws FormatException if it is none, or too long or too deep
     */
    static BoundedRegex compile(Object file, String expression) {
        if (expression.length() > MOST_CHARACTERS) {
            throw new FormatException(
                    file,
                    "a regular expression of " + expression.length() + " characters, expected at most "
                            + MOST_CHARACTERS);
        }
        try {
            return new BoundedRegex(file, Pattern.compile(expression));
        } catch (PatternSyntaxException | StackOverflowError e) {
            throw new FormatException(file, "unsupported regular expression " + Messages.shown(expression), e);
        }
    }

    /** The text with every match replaced. */
    String replaceAll(String text, String replacement) {
        try {
            return pattern.matcher(new Counted(text, new long[] {STEPS + STEPS_PER_CHARACTER * text.length()}))
                    .replaceAll(Matcher.quoteReplacement(replacement));
        } catch (StackOverflowError e) {
            throw tooSlow(e);
        }
    }

    private FormatException tooSlow(Throwable cause) {
        return new FormatException(
                file, "a regular expression takes too long: " + Messages.shown(pattern.pattern()), cause);
    }

    /** A text that may be read so often, parts of it included. */
    private final class Counted implements CharSequence {
        private final CharSequence text;
        private final long[] left;

        Counted(CharSequence text, long[] left) {
            this.text = text;
            this.left = left;
        }

        @Override
        public char charAt(int index) {
            if (--left[0] < 0) {
                throw tooSlow(new IllegalStateException("out of steps"));
            }
            return text.charAt(index);
        }

        @Override
        public int length() {
            return text.length();
        }

        @Override
        public CharSequence subSequence(int start, int end) {
            return new Counted(text.subSequence(start, end), left);
        }

        @Override
        public String toString() {
            return text.toString();
        }
    }
}
