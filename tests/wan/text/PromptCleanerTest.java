package wan.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class PromptCleanerTest {
    static Stream<TokenizerGolden.Entry> entries() {
        return TokenizerGolden.all();
    }

    @ParameterizedTest
    @MethodSource("entries")
    void clean_givesTheReferencesText_forEveryGoldenText(TokenizerGolden.Entry entry) {
        assertThat(PromptCleaner.clean(entry.text("text"))).isEqualTo(entry.text("clean"));
    }

    @ParameterizedTest
    @CsvSource(
            quoteCharacter = '|',
            value = {
                "&SZLIG;,SS",
                "&AMP;EACUTE;,É",
                "&notin;,∉",
                "&notinva;,∉",
                "&ngE;,\u2267\u0338",
                "&#x41,A",
                "&#99999999999;,\uFFFD",
                "&#x1;x,x",
                "&#129;,\u0081",
                "&;,&;",
                "&#;,&#;",
                "&ampersand,&ersand",
                "ŉ,'n",
                "ǆ Ǌ,dž NJ",
                "ﬅ,ſt",
                "ｶﾞ,ガ",
            })
    void clean_followsTheReferencesRules_inCornersTheGoldenTextsLeaveOut(String text, String expected) {
        assertThat(PromptCleaner.clean(text)).isEqualTo(expected);
    }

    /** Honest text that looks a little like mojibake. */
    @ParameterizedTest
    @ValueSource(
            strings = {"AHÅ™, the new sofa from IKEA®", "AMANHÃ DE SOL", "CAFÉ™", "voilà", "Ångström é", "À «là» Â"})
    void clean_leavesTextAlone_whenItIsNoMojibake(String text) {
        assertThat(PromptCleaner.clean(text)).isEqualTo(text);
    }

    @Test
    void clean_repairsTwice_whenTextWasBrokenTwice() {
        assertThat(PromptCleaner.clean("cafÃƒÂ©")).isEqualTo("café");
        assertThat(PromptCleaner.clean("ÐŸÑ€Ð¸Ð²ÐµÑ‚")).isEqualTo("Привет");
    }

    @Test
    void clean_stopsUnescaping_whenAnEarlierLineHasATag() {
        assertThat(PromptCleaner.clean("<p>\n&ldquo;x&rdquo;")).isEqualTo("<p> “x”");
        assertThat(PromptCleaner.clean("&ldquo;x&rdquo;\n<p>")).isEqualTo("\"x\" <p>");
    }
}
