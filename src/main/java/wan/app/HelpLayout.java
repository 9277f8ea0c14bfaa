package wan.app;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi.Text;
import picocli.CommandLine.Help.ColorScheme;
import picocli.CommandLine.Help.TextTable;
import picocli.CommandLine.Model.CommandSpec;

/** The texts of a command's help, broken between words. picocli alone would also break within words such as config.json. */
final class HelpLayout {
    /** The indentation of a text or, in a list, also the word and the gap before its explanation. */
    private static final Pattern START = Pattern.compile(" *\\S+ {2,}(?=\\S)| *");

    /** By how much the further lines of a description in the table are indented. */
    private static final int CONTINUATION = 2;

    private HelpLayout() {}

    /** The table of options or parameters. */
    static Help.Layout table(Help help) {
        CommandSpec command = help.commandSpec();
        ColorScheme colours = help.colorScheme();
        TextTable table = TextTable.forDefaultColumns(
                colours,
                help.calcLongOptionColumnWidth(command.options(), command.positionalParameters(), colours),
                command.usageMessage().width());
        Help.Column last = table.columns()[table.columns().length - 1];
        int width = last.width - last.indent;
        Help.IOptionRenderer options = help.createDefaultOptionRenderer();
        Help.IParameterRenderer parameters = help.createDefaultParameterRenderer();
        return new Help.Layout(
                colours,
                table,
                (option, labels, scheme) -> wrapped(options.render(option, labels, scheme), scheme, width),
                (parameter, labels, scheme) -> wrapped(parameters.render(parameter, labels, scheme), scheme, width));
    }

    /** The rows with the last column, the description, broken between words. */
    private static Text[][] wrapped(Text[][] rows, ColorScheme scheme, int width) {
        List<Text[]> wrapped = new ArrayList<>();
        for (Text[] row : rows) {
            int last = row.length - 1;
            Text[] next = row.clone();
            for (String line : lines(row[last].plainString(), width, CONTINUATION)) {
                next[last] = scheme.text(line);
                wrapped.add(next);
                next = new Text[row.length];
                Arrays.fill(next, scheme.text(""));
            }
        }
        return wrapped.toArray(Text[][]::new);
    }

    /**
     * Paragraphs, such as the description or the footer.
     *
     * @param paragraphs in the syntax of {@link java.util.Formatter}
     */
    static String text(Help help, String... paragraphs) {
        int width = help.commandSpec().usageMessage().width();
        return Arrays.stream(paragraphs)
                .flatMap(text -> lines(String.format(Locale.ROOT, text), width, 0).stream())
                .map(line -> line + System.lineSeparator())
                .collect(Collectors.joining());
    }

    /** A text in lines of at most this many characters, unless a single word is longer. */
    private static List<String> lines(String text, int width, int continuation) {
        Matcher start = START.matcher(text);
        String head = start.lookingAt() ? start.group() : "";
        String indent = " ".repeat(head.length() + (head.isBlank() ? continuation : 0));
        List<String> lines = new ArrayList<>();
        StringBuilder line = new StringBuilder(head);
        boolean first = true;
        for (String word : text.substring(head.length()).split(" ", -1)) {
            if (!first && line.length() + 1 + word.length() > width) {
                lines.add(line.toString());
                line = new StringBuilder(indent);
                first = true;
            }
            line.append(first ? "" : " ").append(word);
            first = false;
        }
        lines.add(line.toString());
        return lines;
    }
}
