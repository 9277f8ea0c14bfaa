package capture.analysis;

/**
 * The constants of the rules for head roles. {@link RoleRule#constants} tells which are published and which are ours.
 *
 * @param headForcingAnchor share of all heads, by sink mass, that are anchors
 * @param headForcingLocal share of all heads, by current mass among the rest, that are local
 * @param dummyShare share of all heads that are dummies
 * @param staticMass least recent mass of a static head
 * @param positiveRate least sign rate of an anchor head
 * @param negativeRate most sign rate of a veil head
 * @param waveShare least period share of a wave head
 */
public record RoleOptions(
        double headForcingAnchor,
        double headForcingLocal,
        double dummyShare,
        double staticMass,
        double positiveRate,
        double negativeRate,
        double waveShare) {
    /** The published constants, and ours where none is. */
    public static final RoleOptions DEFAULT = new RoleOptions(0.25, 0.20, 0.50, 0.8, 0.9, 0.1, 0.3);
}
