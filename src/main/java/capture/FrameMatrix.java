package capture;

import java.util.Arrays;
import java.util.List;
import wan.op.HostTensor;
import wan.op.Shape;
import wan.pass.Pass;
import wan.pass.PassId;

/**
 * Frame-by-frame values of one layer over a whole rollout, [N, T, T]: head, query frame, key frame, with absolute frames.
 *
 * <p>The mask comes from the passes that were entered, never from the values. Pairs of frames that were not attended are NaN in
 * {@link #values}; a NaN where the mask is true is a failed computation.
 */
public final class FrameMatrix {
    private final int heads;
    private final int frames;
    private final float[] values;
    /** [query frame, key frame]: what the passes attended. */
    private final boolean[] attended;
    /** Per query frame: whether its frame block still had every earlier frame in the cache. */
    private final boolean[] complete;

    private final boolean[] seen;

    /**
     * An empty matrix.
     *
     * @param heads captured heads, N
     * @param frames frames of the rollout, T
     */
    public FrameMatrix(int heads, int frames) {
        this.heads = heads;
        this.frames = frames;
        this.values = new float[Math.multiplyExact(heads, Math.multiplyExact(frames, frames))];
        this.attended = new boolean[frames * frames];
        this.complete = new boolean[frames];
        this.seen = new boolean[frames];
        Arrays.fill(values, Float.NaN);
    }

    /**
     * Enters what one pass captured; only the first pass over a frame counts, as in the reference's script. Passes that only
     * refill the cache are left out, because their frames have been entered already; keys that are not frames of the video have
     * no column.
     *
     * @param batchValues [B, N, f, K] in C order; sample 0 is used
     */
    void put(Pass pass, float[] batchValues) {
        if (pass.id().kind() == PassId.Kind.RECACHE || pass.id().kind() == PassId.Kind.RECOMPUTE) {
            return;
        }
        List<Integer> keyFrames = pass.placement().keyFrames();
        int keys = keyFrames.size();
        for (int q = 0; q < pass.frames(); q++) {
            int frame = pass.firstFrame() + q;
            if (seen[frame]) {
                continue;
            }
            for (int k = 0; k < keys; k++) {
                int key = keyFrames.get(k);
                if (key < 0 || !pass.attends(q, k)) { // no frame of the video, or masked
                    continue;
                }
                attended[frame * frames + key] = true;
                for (int h = 0; h < heads; h++) {
                    values[index(h, frame, key)] = batchValues[(h * pass.frames() + q) * keys + k];
                }
            }
            seen[frame] = true;
            complete[frame] = keys == pass.firstFrame() + pass.frames();
        }
    }

    /** Captured heads, N. */
    public int heads() {
        return heads;
    }

    /** Frames of the rollout, T. */
    public int frames() {
        return frames;
    }

    /** Whether, in a captured pass, a query frame attended to a key frame. */
    public boolean attended(int queryFrame, int keyFrame) {
        return attended[queryFrame * frames + keyFrame];
    }

    /** The value of one head, query frame and key frame; NaN where nothing was attended. */
    public float get(int headIndex, int queryFrame, int keyFrame) {
        return values[index(headIndex, queryFrame, keyFrame)];
    }

    /** The whole matrix, [N, T, T], NaN where nothing was attended. */
    public HostTensor values() {
        return new HostTensor(Shape.of(heads, frames, frames), values.clone());
    }

    /** 1 where something was attended, else 0: [T, T] in C order. */
    public byte[] mask() {
        byte[] mask = new byte[attended.length];
        for (int i = 0; i < mask.length; i++) {
            mask[i] = (byte) (attended[i] ? 1 : 0);
        }
        return mask;
    }

    /**
     * Mean over the query frames of the last frame block, [N, T].
     *
     * @param firstFrame absolute number of the frame block's first frame
     */
    public HostTensor lastFrameBlock(int firstFrame) {
        return new HostTensor(Shape.of(heads, frames), meanOfRows(values, firstFrame));
    }

    /**
     * The matrix that the reference's script builds, [N, T, T]: 0 where nothing was attended, and 0 in all rows of a frame block
     * from whose cache frames had been evicted, since the script finds frame blocks by key length and those have no match.
     */
    public HostTensor scriptValues() {
        float[] out = values.clone();
        for (int i = 0; i < out.length; i++) {
            if (!attended[i % attended.length] || !complete[i / frames % frames]) {
                out[i] = 0;
            }
        }
        return new HostTensor(Shape.of(heads, frames, frames), out);
    }

    /** The script's row means of the last frame block, [N, T]. */
    public HostTensor scriptLastFrameBlock(int firstFrame) {
        return new HostTensor(Shape.of(heads, frames), meanOfRows(scriptValues().values(), firstFrame));
    }

    private float[] meanOfRows(float[] from, int firstFrame) {
        float[] mean = new float[heads * frames];
        for (int h = 0; h < heads; h++) {
            for (int k = 0; k < frames; k++) {
                double sum = 0;
                for (int q = firstFrame; q < frames; q++) {
                    sum += from[index(h, q, k)];
                }
                mean[h * frames + k] = (float) (sum / (frames - firstFrame));
            }
        }
        return mean;
    }

    private int index(int head, int query, int key) {
        return (head * frames + query) * frames + key;
    }
}
