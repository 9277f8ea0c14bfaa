package capture.analysis;

import org.jspecify.annotations.Nullable;

/** Views from matrices in which NaN stands for what was not attended. */
final class HeadViews {
    private HeadViews() {}

    static HeadView of(HeadId head, int frames, FrameBlock block, float @Nullable [] logits, float @Nullable [] mass) {
        boolean[] attended = new boolean[frames * frames];
        float[] any = logits != null ? logits : mass;
        for (int i = 0; any != null && i < attended.length; i++) {
            attended[i] = !Float.isNaN(any[i]);
        }
        return new HeadView(head, frames, block, attended, logits, mass);
    }
}
