package wan.file.torch;

import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Values of a PyTorch file as Python would print them, cut where they get long. */
public final class PyText {
    private final StringBuilder out = new StringBuilder();
    private final int mostChars;

    private PyText(int mostChars) {
        this.mostChars = mostChars;
    }

    /**
     * The text of a value.
     *
     * @param value of {@link TorchFile#values()}, which are not nested too deep for this
     * @param mostChars about how much of it
     */
    public static String of(Object value, int mostChars) {
        PyText text = new PyText(mostChars);
        text.write(value);
        return text.out.length() > mostChars ? text.out.substring(0, mostChars) + "..." : text.out.toString();
    }

    private void write(Object value) {
        if (out.length() > mostChars) {
            return;
        }
        switch (value) {
            case Boolean flag -> out.append(flag ? "True" : "False");
            case String text ->
                out.append('\'')
                        .append(text, 0, Math.min(text.length(), mostChars))
                        .append('\'');
            case byte[] bytes -> out.append(bytes.length).append(" bytes");
            case List<?> list -> writeAll("[", list.iterator(), "]");
            case PyTuple tuple -> writeAll("(", tuple.items().iterator(), tuple.size() == 1 ? ",)" : ")");
            case Set<?> set -> writeAll("{", set.iterator(), "}");
            case Map<?, ?> map -> writeAll("{", map.entrySet().iterator(), "}");
            case Map.Entry<?, ?> entry -> {
                write(entry.getKey());
                out.append(": ");
                write(entry.getValue());
            }
            default -> out.append(value);
        }
    }

    private void writeAll(String open, Iterator<?> items, String close) {
        out.append(open);
        while (items.hasNext() && out.length() <= mostChars) {
            write(items.next());
            out.append(items.hasNext() ? ", " : "");
        }
        out.append(close);
    }
}
