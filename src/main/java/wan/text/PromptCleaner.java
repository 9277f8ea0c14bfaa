package wan.text;

import java.text.Normalizer;
import java.util.regex.Pattern;

/**
 * Brings a prompt into the form that the reference tokenizes: {@code basic_clean} and {@code whitespace_clean} of
 * {@code wan/modules/tokenizers.py}, that is ftfy, HTML unescaping twice, white space collapsed.
 *
 * <p>The repairs are those of ftfy 6.3 with its default settings; of mojibake only the commonest kinds ({@link Mojibake}).
 */
public final class PromptCleaner {
    private static final Pattern WHITE_SPACE =
            Pattern.compile("[\\t-\\r\\x1C-\\x20\\x85\\xA0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000]+");
    private static final Pattern LINE_BREAK = Pattern.compile("\\r\\n|[\\r\\u2028\\u2029]");
    private static final Pattern TERMINAL_ESCAPE = Pattern.compile("\\x1B\\[[0-9;]*[a-zA-Z]");

    private PromptCleaner() {}

    /**
     * The text as the tokenizer gets it.
     *
     * @param prompt as the user typed it
     * @return on one line, without white space at the ends; empty if nothing is left
     */
    public static String clean(String prompt) {
        String text = HtmlEntities.unescape(HtmlEntities.unescape(repair(prompt)));
        return strip(WHITE_SPACE.matcher(text).replaceAll(" "));
    }

    private static String strip(String text) {
        int start = text.startsWith(" ") ? 1 : 0;
        int end = text.length() - (text.length() > start && text.endsWith(" ") ? 1 : 0);
        return text.substring(start, end);
    }

    /** {@code ftfy.fix_text}: line by line, and once a "&lt;" was seen entities are taken for part of a document. */
    private static String repair(String text) {
        StringBuilder out = new StringBuilder(text.length());
        boolean unescape = true;
        for (int start = 0; start < text.length(); ) {
            int newline = text.indexOf('\n', start);
            int end = newline < 0 ? text.length() : newline + 1;
            String line = text.substring(start, end);
            unescape &= line.indexOf('<') < 0;
            out.append(repairLine(line, unescape));
            start = end;
        }
        return out.toString();
    }

    private static String repairLine(String line, boolean unescape) {
        String before;
        String text = line;
        do {
            before = text;
            text = unescape ? HtmlEntities.unescapeStrict(text) : text;
            text = Mojibake.repair(text);
            text = repairCharacters(text);
            text = LINE_BREAK.matcher(text).replaceAll("\n");
            text = TERMINAL_ESCAPE.matcher(text).replaceAll("");
            text = removeControls(text);
            text = Normalizer.normalize(text, Normalizer.Form.NFC);
        } while (!text.equals(before));
        return text;
    }

    /** C1 controls, ligatures, widths, quotes, unpaired surrogates: one character at a time, in this order. */
    private static String repairCharacters(String text) {
        StringBuilder out = new StringBuilder(text.length());
        text.codePoints().forEach(c -> {
            if (c >= 0x80 && c <= 0x9F) {
                uncurl(Windows1252.decode(c), out);
            } else if (c == 0xFB05) {
                out.append("\u017Ft");
            } else if (isLigature(c) || (c >= 0xFF01 && c <= 0xFFEF)) {
                Normalizer.normalize(Character.toString(c), Normalizer.Form.NFKC)
                        .codePoints()
                        .forEach(part -> uncurl(part, out));
            } else if (c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE) {
                out.append('\uFFFD');
            } else {
                uncurl(c == 0x3000 ? ' ' : c, out);
            }
        });
        return out.toString();
    }

    /** Ligatures of Latin letters: those of U+FB00, ij, 'n, and dz, lj and nj in all cases. */
    private static boolean isLigature(int c) {
        return (c >= 0xFB00 && c <= 0xFB06)
                || c == 0x132
                || c == 0x133
                || c == 0x149
                || (c >= 0x1C4 && c <= 0x1CC)
                || (c >= 0x1F1 && c <= 0x1F3);
    }

    private static void uncurl(int c, StringBuilder out) {
        if (c == 0x2BC || (c >= 0x2018 && c <= 0x201B)) {
            out.append('\'');
        } else if (c >= 0x201C && c <= 0x201F) {
            out.append('"');
        } else {
            out.appendCodePoint(c);
        }
    }

    private static String removeControls(String text) {
        StringBuilder out = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean remove = c <= 0x08
                    || c == 0x0B
                    || (c >= 0x0E && c <= 0x1F)
                    || c == 0x7F
                    || (c >= 0x206A && c <= 0x206F)
                    || c == 0xFEFF
                    || (c >= 0xFFF9 && c <= 0xFFFC);
            if (!remove) {
                out.append(c);
            }
        }
        return out.toString();
    }
}
