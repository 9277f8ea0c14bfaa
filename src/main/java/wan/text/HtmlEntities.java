package wan.text;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * HTML5 character references, read in the two ways that the reference's cleaning reads them.
 *
 * <p>The names are those of the HTML standard, kept as {@code html5-entities.txt}: a name and its code points in hexadecimal a
 * line, an asterisk behind names that the standard also accepts without a semicolon.
 */
final class HtmlEntities {
    private static final Pattern LIBERAL =
            Pattern.compile("&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\\t\\n\\f <&#;]{1,32};?)");
    private static final Pattern STRICT = Pattern.compile("&(#?[0-9A-Za-z]{1,24};)");
    private static final Map<String, String> NAMES = new HashMap<>();
    private static final Set<String> WITHOUT_SEMICOLON = new HashSet<>();

    static {
        try (InputStream in = HtmlEntities.class.getResourceAsStream("html5-entities.txt")) {
            if (in == null) {
                throw new IllegalStateException("html5-entities.txt is missing from the jar");
            }
            new String(in.readAllBytes(), StandardCharsets.US_ASCII).lines().forEach(HtmlEntities::define);
        } catch (IOException e) {
            throw new IllegalStateException("html5-entities.txt cannot be read", e);
        }
    }

    private HtmlEntities() {}

    private static void define(String line) {
        int space = line.indexOf(' ');
        String name = line.substring(0, space);
        if (name.endsWith("*")) {
            name = name.substring(0, name.length() - 1);
            WITHOUT_SEMICOLON.add(name);
        }
        StringBuilder value = new StringBuilder();
        for (int start = space + 1, end; start < line.length(); start = end + 1) {
            end = line.indexOf(' ', start);
            end = end < 0 ? line.length() : end;
            value.appendCodePoint(Integer.parseInt(line, start, end, 16));
        }
        NAMES.put(name, value.toString());
    }

    /**
     * Replaces references as a browser does, and as Python's {@code html.unescape}: semicolons may be missing where the
     * standard forgives it, the longest known prefix counts, unknown names stay.
     */
    static String unescape(String text) {
        return text.indexOf('&') < 0
                ? text
                : LIBERAL.matcher(text).replaceAll(match -> Matcher.quoteReplacement(liberal(match.group(1))));
    }

    /**
     * Replaces only references that end in a semicolon, as {@code ftfy.fixes.unescape_html}; all-upper-case spellings of
     * lower-case names give the upper-case character.
     */
    static String unescapeStrict(String text) {
        return text.indexOf('&') < 0
                ? text
                : STRICT.matcher(text).replaceAll(match -> Matcher.quoteReplacement(strict(match.group(1))));
    }

    private static String liberal(String reference) {
        if (reference.charAt(0) == '#') {
            return numeric(reference);
        }
        boolean closed = reference.endsWith(";");
        String name = closed ? reference.substring(0, reference.length() - 1) : reference;
        String value = NAMES.get(name);
        if (value != null && (closed || WITHOUT_SEMICOLON.contains(name))) {
            return value;
        }
        for (int end = name.length(); end > 1; end--) {
            String prefix = name.substring(0, end);
            if (WITHOUT_SEMICOLON.contains(prefix)) {
                return NAMES.get(prefix) + reference.substring(end);
            }
        }
        return "&" + reference;
    }

    private static String strict(String reference) {
        String value;
        if (reference.charAt(0) == '#') {
            value = unescape("&" + reference);
            return value.indexOf(';') < 0 ? value : "&" + reference;
        }
        String name = reference.substring(0, reference.length() - 1);
        value = NAMES.get(name);
        if (value == null) {
            value = upperCase(name);
        }
        return value == null ? "&" + reference : value;
    }

    private static @Nullable String upperCase(String name) {
        String lower = name.toLowerCase(Locale.ROOT);
        String value = NAMES.get(lower);
        String reference = "&" + name + ";";
        return value != null
                        && lower.toUpperCase(Locale.ROOT).equals(name)
                        && unescape(reference).equals(reference)
                ? value.toUpperCase(Locale.ROOT)
                : null;
    }

    private static String numeric(String reference) {
        boolean hex = reference.charAt(1) == 'x' || reference.charAt(1) == 'X';
        long code = 0;
        for (int i = hex ? 2 : 1; i < reference.length() && reference.charAt(i) != ';'; i++) {
            code = Math.min(code * (hex ? 16 : 10) + Character.digit(reference.charAt(i), 16), Integer.MAX_VALUE);
        }
        if (code == 0 || code > Character.MAX_CODE_POINT || (code >= 0xD800 && code <= 0xDFFF)) {
            return "\uFFFD";
        }
        if (code >= 0x80 && code <= 0x9F) {
            return String.valueOf(Windows1252.decode((int) code));
        }
        return isNothing((int) code) ? "" : Character.toString((int) code);
    }

    /** Controls and noncharacters, which the standard forbids to refer to; Python drops them. */
    private static boolean isNothing(int code) {
        return (code < 0x20 && code != '\t' && code != '\n' && code != '\f' && code != '\r')
                || code == 0x7F
                || (code >= 0xFDD0 && code <= 0xFDEF)
                || (code & 0xFFFE) == 0xFFFE;
    }
}
