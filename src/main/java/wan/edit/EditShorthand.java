package wan.edit;

import capture.Indices;
import java.util.ArrayList;
import java.util.List;
import wan.op.UsageException;

/** Plans in the short forms of a command line. */
public final class EditShorthand {
    private EditShorthand() {}

    /** Zeroes heads: {@code 3:5,7:0-3}. */
    public static EditPlan zero(String where, String text) {
        return new EditPlan(List.of(new Rule(Heads.parse(where, text), new Effect.Zero())));
    }

    /** Divides logits: {@code 3:5=0.7}, several joined by semicolons. */
    public static EditPlan temperature(String where, String text) {
        List<Rule> rules = new ArrayList<>();
        for (String part : text.split(";", -1)) {
            String[] sides = sides(where, part, "HEADS=TEMPERATURE such as 3:5=0.7");
            rules.add(new Rule(
                    Heads.parse(where, sides[0]),
                    new Effect.Temperature(number(where, part, sides[1], "HEADS=TEMPERATURE such as 3:5=0.7"))));
        }
        return new EditPlan(rules);
    }

    /** Adds to the logits of a frame's keys: {@code 0:3:5=-2} is layer 0, head 3, frame 5; several joined by semicolons. */
    public static EditPlan biasFrame(String where, String text) {
        String form = "LAYER:HEADS:FRAMES=BIAS such as 0:3:5=-2";
        List<Rule> rules = new ArrayList<>();
        for (String part : text.split(";", -1)) {
            String[] sides = sides(where, part, form);
            int colon = sides[0].lastIndexOf(':');
            if (colon < 0 || sides[0].indexOf(':') == colon) {
                throw new UsageException(where + ": expected " + form + ", got \"" + part + "\"");
            }
            Heads heads = Heads.parse(where, sides[0].substring(0, colon));
            Indices frames = Indices.parse(where, sides[0].substring(colon + 1), "indices");
            rules.add(new Rule(heads, new Effect.Bias(frames, Indices.ALL, number(where, part, sides[1], form))));
        }
        return new EditPlan(rules);
    }

    private static String[] sides(String where, String part, String form) {
        String[] sides = part.strip().split("=", -1);
        if (sides.length != 2) {
            throw new UsageException(where + ": expected " + form + ", got \"" + part + "\"");
        }
        return sides;
    }

    private static float number(String where, String part, String text, String form) {
        if (text.equals("-inf")) {
            return Float.NEGATIVE_INFINITY;
        }
        try {
            return Float.parseFloat(text);
        } catch (NumberFormatException e) {
            throw new UsageException(where + ": expected " + form + ", got \"" + part + "\"");
        }
    }
}
