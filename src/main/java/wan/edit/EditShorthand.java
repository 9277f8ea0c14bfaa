package wan.edit;

import capture.Indices;
import java.util.ArrayList;
import java.util.List;
import wan.op.UsageException;

/** Edit plans in the short forms of the command line. */
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

    /**
     * One effect: {@code zero}, {@code mean}, {@code mean-frame}, {@code scale=0.5}, {@code temperature=0.7}, {@code keep=1,3} (sink, window),
     * {@code block=0-2} (frames), {@code bias=0-2:-1}.
     */
    public static Effect effect(String where, String text) {
        String form = "zero, mean, mean-frame, scale=V, temperature=T, keep=SINK,WINDOW, block=FRAMES or bias=FRAMES:V";
        int equals = text.indexOf('=');
        String name = equals < 0 ? text : text.substring(0, equals);
        String value = equals < 0 ? "" : text.substring(equals + 1);
        boolean alone = switch (name) {
            case "zero", "mean", "mean-frame" -> true;
            default -> false;
        };
        if (alone == (equals >= 0)) {
            throw new UsageException(where + ": expected " + form + ", got \"" + text + "\"");
        }
        return switch (name) {
            case "zero" -> new Effect.Zero();
            case "mean" -> new Effect.Mean(false);
            case "mean-frame" -> new Effect.Mean(true);
            case "scale" -> new Effect.Scale(number(where, text, value, form));
            case "temperature" -> new Effect.Temperature(number(where, text, value, form));
            case "block" ->
                new Effect.Bias(Indices.parse(where, value, "frames"), Indices.ALL, Float.NEGATIVE_INFINITY);
            case "keep" -> {
                if (!value.matches("\\d{1,6},\\d{1,6}")) {
                    throw new UsageException(where + ": expected " + form + ", got \"" + text + "\"");
                }
                String[] counts = value.split(",", -1);
                yield new Effect.Keep(Integer.parseInt(counts[0]), Integer.parseInt(counts[1]));
            }
            case "bias" -> {
                int colon = value.lastIndexOf(':');
                if (colon < 0) {
                    throw new UsageException(where + ": expected " + form + ", got \"" + text + "\"");
                }
                yield new Effect.Bias(
                        Indices.parse(where, value.substring(0, colon), "frames"),
                        Indices.ALL,
                        number(where, text, value.substring(colon + 1), form));
            }
            default -> throw new UsageException(where + ": expected " + form + ", got \"" + text + "\"");
        };
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
