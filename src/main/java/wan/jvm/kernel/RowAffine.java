package wan.jvm.kernel;

/**
 * A scale and a shift for every feature, the same for {@code rowsPerEntry} rows: a norm's own parameters, or a modulation.
 *
 * @param scale values of the scales
 * @param scaleOffset index of the scale of entry 0
 * @param scalePlus added to each scale: 1 for a modulation, which scales by 1 + m
 * @param shift values of the shifts
 * @param shiftOffset index of the shift of entry 0
 * @param entryStride distance of the entries in both
 * @param rowsPerEntry rows that share an entry
 */
@SuppressWarnings("ArrayRecordComponent") // arguments under one name, never compared
public record RowAffine(
        float[] scale,
        int scaleOffset,
        float scalePlus,
        float[] shift,
        int shiftOffset,
        int entryStride,
        int rowsPerEntry) {

    /** Index of a row's first scale. */
    public int scaleIndex(int row) {
        return scaleOffset + row / rowsPerEntry * entryStride;
    }

    /** Index of a row's first shift. */
    public int shiftIndex(int row) {
        return shiftOffset + row / rowsPerEntry * entryStride;
    }
}
