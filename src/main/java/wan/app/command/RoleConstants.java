package wan.app.command;

import capture.analysis.RoleOptions;
import picocli.CommandLine.Option;
import wan.op.UsageException;

/** The constants of the rules for head roles. */
final class RoleConstants {
    @Option(
            names = "--anchor-share",
            paramLabel = "X",
            description = "head-forcing: share of heads that are anchors (default: ${DEFAULT-VALUE}, published).")
    private double anchorShare = RoleOptions.DEFAULT.headForcingAnchor();

    @Option(
            names = "--local-share",
            paramLabel = "X",
            description = "head-forcing: share of heads that are local (default: ${DEFAULT-VALUE}, published).")
    private double localShare = RoleOptions.DEFAULT.headForcingLocal();

    @Option(
            names = "--dummy-share",
            paramLabel = "X",
            description =
                    "dummy-forcing: share of heads that are dummies (default: ${DEFAULT-VALUE}; published as 180 of"
                            + " 360 heads).")
    private double dummyShare = RoleOptions.DEFAULT.dummyShare();

    @Option(
            names = "--static-mass",
            paramLabel = "X",
            description = "forcing-kv: minimum recent mass of a static head (default: ${DEFAULT-VALUE}, published).")
    private double staticMass = RoleOptions.DEFAULT.staticMass();

    @Option(
            names = "--positive-rate",
            paramLabel = "X",
            description = "pyramid-forcing: minimum sign rate of an anchor head (default: ${DEFAULT-VALUE}; ours, not"
                    + " published).")
    private double positiveRate = RoleOptions.DEFAULT.positiveRate();

    @Option(
            names = "--negative-rate",
            paramLabel = "X",
            description = "pyramid-forcing: maximum sign rate of a veil head (default: ${DEFAULT-VALUE}; ours, not"
                    + " published).")
    private double negativeRate = RoleOptions.DEFAULT.negativeRate();

    @Option(
            names = "--wave-share",
            paramLabel = "X",
            description = "pyramid-forcing: minimum period share of a wave head (default: ${DEFAULT-VALUE}; ours, not"
                    + " published).")
    private double waveShare = RoleOptions.DEFAULT.waveShare();

    RoleOptions options() {
        double[] shares = {anchorShare, localShare, dummyShare, staticMass, positiveRate, negativeRate, waveShare};
        for (double share : shares) {
            if (!(share >= 0 && share <= 1)) {
                throw new UsageException("constants of role rules: expected 0 to 1, got " + share);
            }
        }
        return new RoleOptions(anchorShare, localShare, dummyShare, staticMass, positiveRate, negativeRate, waveShare);
    }
}
