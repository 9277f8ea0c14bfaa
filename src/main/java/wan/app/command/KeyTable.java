package wan.app.command;

import java.util.List;
import wan.cache.Placement;
import wan.pass.Pass;

/** The keys that a pass attends to, in slot order and in few words: {@code 0-2 ctx, 6-11 ctx, 12-14 own}. */
final class KeyTable {
    /** What the words mean. */
    static final String LEGEND = """
            keys: frames in slot order and the pass that wrote them (own: this pass, ctx: the context pass of
            their frame block); @ gives their time positions if they differ from the frames""";

    private KeyTable() {}

    static String of(Pass pass) {
        Placement placement = pass.placement();
        StringBuilder text = new StringBuilder();
        int from = 0;
        for (int i = 1; i <= placement.keys(); i++) {
            if (i == placement.keys() || !follows(pass, i)) {
                text.append(text.isEmpty() ? "" : ", ").append(run(pass, from, i - 1));
                from = i;
            }
        }
        return text.isEmpty() ? "none" : text.toString();
    }

    /** Whether a slot goes on from the one before: next frame, next position, the same kind of writer. */
    private static boolean follows(Pass pass, int slot) {
        Placement placement = pass.placement();
        int step = placement.keyFrames().get(slot) < 0 ? 0 : 1;
        return placement.keyFrames().get(slot) - placement.keyFrames().get(slot - 1) == step
                && placement.keyPositions().get(slot) - placement.keyPositions().get(slot - 1)
                        == (placement.keyPositions().get(slot) < 0 ? 0 : 1)
                && writer(pass, slot).equals(writer(pass, slot - 1));
    }

    private static String run(Pass pass, int from, int to) {
        List<Integer> frames = pass.placement().keyFrames();
        List<Integer> positions = pass.placement().keyPositions();
        String frame = switch (frames.get(from)) {
            case Placement.EMPTY -> (to - from + 1) + " empty";
            case Placement.GIVEN -> (to - from + 1) + " given";
            default -> range(frames.get(from), frames.get(to));
        };
        boolean turned = positions.get(from) >= 0 && !positions.get(from).equals(frames.get(from));
        String writer = writer(pass, from);
        return frame
                + (turned ? "@" + range(positions.get(from), positions.get(to)) : "")
                + (writer.isEmpty() ? "" : " " + writer);
    }

    /** Frames from the first to the last: {@code 3-5}, or {@code 3}. */
    static String range(int from, int to) {
        return from == to ? Integer.toString(from) : from + "-" + to;
    }

    private static String writer(Pass pass, int slot) {
        String writer = pass.placement().keyWrittenBy().get(slot);
        if (writer.equals(pass.id().label())) {
            return "own";
        }
        return writer.endsWith(".ctx") ? "ctx" : writer;
    }
}
