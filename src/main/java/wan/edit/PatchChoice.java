package wan.edit;

import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * Which patches of neighbouring frames change most: a patch's score is the mean, over its tokens, of the cosine of a token's keys with those of the
 * same token one frame later.
 *
 * @param frameTokens tokens of a frame
 * @param patches runs of tokens that a frame is cut into; a divisor
 * @param numHeads of the keys
 * @param headDim channels of a head
 * @param heads whose keys are compared, as one vector per token
 */
@SuppressWarnings("ArrayRecordComponent") // arguments under one name, never compared
record PatchChoice(int frameTokens, int patches, int numHeads, int headDim, int[] heads) {
    /**
     * The patches with the lowest scores, as many as a frame has, ascending; of equal ones the first.
     *
     * @param keys [frames * frameTokens, numHeads, headDim], maybe of several samples, of which the first decides
     * @param frames how many, of which the last has no patches of its own
     */
    int[] leastLike(float[] keys, int frames) {
        double[] scores = scores(keys, frames);
        return IntStream.range(0, scores.length)
                .boxed()
                .sorted(Comparator.comparingDouble(patch -> scores[patch]))
                .limit(patches)
                .mapToInt(Integer::intValue)
                .sorted()
                .toArray();
    }

    /** The scores of all patches but those of the last frame, frame after frame. */
    double[] scores(float[] keys, int frames) {
        int length = frameTokens / patches;
        double[] scores = new double[(frames - 1) * patches];
        for (int token = 0; token < (frames - 1) * frameTokens; token++) {
            scores[token / length] += cosine(keys, token, token + frameTokens) / length;
        }
        return scores;
    }

    private double cosine(float[] keys, int one, int other) {
        double product = 0;
        double ones = 0;
        double others = 0;
        for (int head : heads) {
            for (int channel = 0; channel < headDim; channel++) {
                double a = keys[(one * numHeads + head) * headDim + channel];
                double b = keys[(other * numHeads + head) * headDim + channel];
                product += a * b;
                ones += a * a;
                others += b * b;
            }
        }
        return product / Math.max(1e-8, Math.sqrt(ones) * Math.sqrt(others));
    }
}
