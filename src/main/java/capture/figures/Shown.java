package capture.figures;

import capture.analysis.Merge;
import wan.op.Quantity;

/**
 * What the numbers of a figure are.
 *
 * @param quantity frame logits or frame mass
 * @param merge how those of several runs became one
 * @param runs how many
 */
public record Shown(Quantity quantity, Merge merge, int runs) {
    /** Of one run. */
    public static Shown of(Quantity quantity) {
        return new Shown(quantity, Merge.MEAN, 1);
    }

    /** For colour bars and axes. */
    public String title() {
        return title(HeatMapFigures.title(quantity));
    }

    /** Another name of the numbers, with what became of the runs. */
    public String title(String what) {
        if (runs == 1) {
            return what;
        }
        return switch (merge) {
            case MEAN -> what + ", mean of " + runs + " runs";
            case SD -> what + ", sd over " + runs + " runs";
            case DIFFERENCE -> "difference in " + what;
        };
    }

    /** Whether they may be negative. */
    public boolean signed() {
        return signed(quantity != Quantity.FRAME_MASS);
    }

    /** Whether numbers may be negative, of runs where they may be or not. */
    public boolean signed(boolean ofRuns) {
        return merge == Merge.DIFFERENCE || (ofRuns && merge != Merge.SD);
    }

    /** Rows of fewer attended keys set no colour scale. */
    int leastKeys() {
        return quantity == Quantity.FRAME_MASS ? 2 : 1;
    }
}
