package wan.edit;

import capture.Indices;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import wan.op.UsageException;

/**
 * A choice of heads of layers: {@code 3:5}, {@code 3:5,7:0-3}, {@code 7:0,2,4}, {@code 4-6:all}, {@code all:2}, {@code 3} for
 * all heads of a layer.
 *
 * @param text as it was written
 * @param terms the parts of the choice
 */
public record Heads(String text, List<Term> terms) {
    /** All heads of all layers. */
    public static final Heads ALL = new Heads("all", List.of(new Term(Indices.ALL, Indices.ALL)));

    /** Some heads of some layers. */
    public record Term(Indices layers, Indices heads) {}

    /**
     * Reads a choice. A comma begins a new term where a colon follows before the next comma, and continues the list of heads elsewhere.
     *
     * @param where for messages
     * @throws UsageException if it is malformed
     */
    public static Heads parse(String where, String text) {
        List<Term> terms = new ArrayList<>();
        StringBuilder term = new StringBuilder();
        for (String part : text.strip().split(",", -1)) {
            boolean begins = part.contains(":") || !term.toString().contains(":");
            if (begins && !term.isEmpty()) {
                terms.add(term(where, text, term.toString()));
                term.setLength(0);
            }
            term.append(term.isEmpty() ? "" : ",").append(part.strip());
        }
        terms.add(term(where, text, term.toString()));
        return new Heads(text.strip(), List.copyOf(terms));
    }

    private static Term term(String where, String text, String term) {
        String[] sides = term.split(":", -1);
        if (sides.length > 2 || term.isEmpty()) {
            throw new UsageException(
                    where + ": expected LAYER:HEADS such as 3:5, 7:0-3 or 3:5,7:all, got \"" + text + "\"");
        }
        return new Term(
                Indices.parse(where, sides[0], "indices"),
                sides.length == 1 ? Indices.ALL : Indices.parse(where, sides[1], "indices"));
    }

    /** One head. */
    public static Heads of(int layer, int head) {
        return parse("heads", layer + ":" + head);
    }

    /** Whether a head is chosen. */
    public boolean contains(int layer, int head) {
        return terms.stream()
                .anyMatch(t -> t.layers().contains(layer) && t.heads().contains(head));
    }

    /** Whether a layer has a chosen head. */
    public boolean inLayer(int layer) {
        return terms.stream().anyMatch(t -> t.layers().contains(layer));
    }

    /** The chosen heads of a layer, ascending. */
    public int[] in(int layer, int numHeads) {
        return IntStream.range(0, numHeads)
                .filter(head -> contains(layer, head))
                .toArray();
    }

    /**
     * Checks that they exist.
     *
     * @throws UsageException if one does not
     */
    public void check(String where, int numLayers, int numHeads) {
        for (Term term : terms) {
            List<Integer> _ = term.layers().in(where + ", layers", numLayers);
            List<Integer> _ = term.heads().in(where + ", heads", numHeads);
        }
    }

    @Override
    public String toString() {
        return text;
    }
}
