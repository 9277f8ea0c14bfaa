package capture.figures;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import wan.op.UsageException;

/** Colours from low to high, under matplotlib's names. */
public enum ColourMap {
    /** ColorBrewer's RdBu, reversed: blue below 0, red above, 0 white. */
    RDBU_R(
            "RdBu_r", true, 0x053061, 0x2166ac, 0x4393c3, 0x92c5de, 0xd1e5f0, 0xf7f7f7, 0xfddbc7, 0xf4a582, 0xd6604d,
            0xb2182b, 0x67001f),
    /** ColorBrewer's PuOr, reversed: purple below 0, orange above, 0 white. */
    PUOR_R(
            "PuOr_r", true, 0x2d004b, 0x542788, 0x8073ac, 0xb2abd2, 0xd8daeb, 0xf7f7f7, 0xfee0b6, 0xfdb863, 0xe08214,
            0xb35806, 0x7f3b08),
    /** The upper half of RdBu_r: white to red. */
    REDS("Reds", false, 0xf7f7f7, 0xfddbc7, 0xf4a582, 0xd6604d, 0xb2182b, 0x67001f),
    /** Dark blue over green to yellow; its lightness rises evenly, so it survives a print without colour. */
    VIRIDIS(
            "viridis", false, 0x440154, 0x482475, 0x414487, 0x355f8d, 0x2a788e, 0x21918c, 0x22a884, 0x44bf70, 0x7ad151,
            0xbddf26, 0xfde725),
    /** Black over purple to light yellow. */
    MAGMA(
            "magma", false, 0x000004, 0x140e36, 0x3b0f70, 0x641a80, 0x8c2981, 0xb73779, 0xde4968, 0xf7705c, 0xfe9f6d,
            0xfecf92, 0xfcfdbf),
    /** White to black. */
    GREYS("Greys", false, 0xffffff, 0xf0f0f0, 0xd9d9d9, 0xbdbdbd, 0x969696, 0x737373, 0x525252, 0x252525, 0x000000);

    /** Enough that no step is seen, few enough that cells of a colour share a path. */
    static final int LEVELS = 201;

    private final String id;
    private final boolean diverging;

    @SuppressWarnings("ImmutableEnumChecker") // never changed
    private final int[] anchors;

    ColourMap(String id, boolean diverging, int... anchors) {
        this.id = id;
        this.diverging = diverging;
        this.anchors = anchors;
    }

    /**
     * A map by its name, in any case.
     *
     * @throws UsageException if there is none
     */
    public static ColourMap parse(String name) {
        return Arrays.stream(values())
                .filter(map -> map.id.equalsIgnoreCase(name))
                .findFirst()
                .orElseThrow(() -> new UsageException("figure.colour_map: expected " + names() + ", got " + name));
    }

    /** All names, for help and messages. */
    public static String names() {
        return Arrays.stream(values()).map(map -> map.id).collect(Collectors.joining(", "));
    }

    /** Whether its middle stands for 0. */
    public boolean diverging() {
        return diverging;
    }

    /**
     * The colour at a place.
     *
     * @param at 0 for the first colour, 1 for the last
     */
    String colour(double at) {
        double level = Math.rint(at * (LEVELS - 1)) / (LEVELS - 1) * (anchors.length - 1);
        int below = Math.min((int) level, anchors.length - 2);
        double share = level - below;
        int colour = 0;
        for (int shift = 16; shift >= 0; shift -= 8) {
            int a = anchors[below] >> shift & 0xff;
            int b = anchors[below + 1] >> shift & 0xff;
            colour |= (int) Math.round(a + share * (b - a)) << shift;
        }
        return String.format(Locale.ROOT, "#%06x", colour);
    }
}
