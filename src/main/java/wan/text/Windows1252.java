package wan.text;

/**
 * The single-byte encoding that most mis-decoded text on the web was read with, in its forgiving form: the five bytes that it
 * leaves undefined stand for the C1 control of the same number.
 */
final class Windows1252 {
    /** What the bytes 0x80 to 0x9F stand for. */
    private static final String UPPER_CONTROLS =
            "\u20AC\u0081\u201A\u0192\u201E\u2026\u2020\u2021\u02C6\u2030\u0160\u2039\u0152\u008D\u017D\u008F"
                    + "\u0090\u2018\u2019\u201C\u201D\u2022\u2013\u2014\u02DC\u2122\u0161\u203A\u0153\u009D\u017E\u0178";

    private Windows1252() {}

    /** The character of a byte, 0 to 255. */
    static char decode(int code) {
        return code >= 0x80 && code <= 0x9F ? UPPER_CONTROLS.charAt(code - 0x80) : (char) code;
    }

    /** The byte that stands for a character, in Windows-1252 or else in Latin-1, or -1 if there is none. */
    static int encode(int codePoint) {
        if (codePoint <= 0xFF) {
            return codePoint;
        }
        int index = codePoint <= 0xFFFF ? UPPER_CONTROLS.indexOf(codePoint) : -1;
        return index < 0 ? -1 : 0x80 + index;
    }
}
