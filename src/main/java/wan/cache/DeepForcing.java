package wan.cache;

import java.util.ArrayList;
import java.util.List;
import wan.op.UsageException;

/**
 * What Deep Forcing keeps (cvlab-kaist/DeepForcing ea9961a, arXiv 2512.05081). Its own repository could not be read, but a copy of its
 * causal_model.py and a port of it could, which agree; the sizes are the paper's, and the limit of uses the port's default.
 *
 * <p>A cache of 21 frames fills up. The first pass of a block that does not fit cuts it down to 16: the first 10 frames, the 2 frames of
 * tokens with the highest score of all between, and 4 recent ones, the block's own among them. The queries of the pass and those of the pass before
 * that make up 4 frames decide, in each layer for all heads; a token that has been chosen 7 times is not chosen again. The first frames are
 * then moved to begin 16 frames before the block; the tokens stay where they were, since the code that is meant to move them never runs with these
 * sizes. Then the cache fills up again.
 */
final class DeepForcing {
    private static final int WINDOW = 21;
    private static final int SINK = 10;
    private static final int BUDGET = 16;
    private static final int RECENT = 4;
    private static final int MOST_USES = 7;

    private DeepForcing() {}

    static List<HeadPolicy.Key> keys(HeadPolicy.History history) {
        List<HeadPolicy.Content> cached = new ArrayList<>();
        int first = 0;
        int moved = 0; // how far the first frames have been
        int begin = -1; // where they were last meant to begin
        for (int block = 0; block <= history.count(); block++) {
            int frames = block < history.count() ? history.blocks().get(block) : history.frames();
            if (frames > RECENT) {
                throw new UsageException("cache.policy deep-forcing: expected frame blocks of at most " + RECENT
                        + " frames, which its recent ones are, got " + frames);
            }
            if (cached.size() + frames > WINDOW) {
                cached = cut(cached, first, frames);
                int meant = first - cached.size() - frames;
                moved += begin < 0 ? WINDOW - BUDGET : meant - begin;
                begin = meant;
            }
            if (block < history.count()) {
                for (int i = 0; i < frames; i++) {
                    cached.add(new HeadPolicy.Content.Frame(first++));
                }
            }
        }
        List<HeadPolicy.Key> keys = new ArrayList<>();
        for (int slot = 0; slot < cached.size(); slot++) {
            HeadPolicy.Content content = cached.get(slot);
            int position = content.lastFrame() + (slot < SINK ? moved : 0);
            keys.add(new HeadPolicy.Key(content, first - position));
        }
        return keys;
    }

    private static List<HeadPolicy.Content> cut(List<HeadPolicy.Content> cached, int first, int frames) {
        int recent = cached.size() - (RECENT - frames);
        List<HeadPolicy.Content> kept = new ArrayList<>(cached.subList(0, SINK));
        int pages = BUDGET - SINK - RECENT;
        for (int page = 0; page < pages; page++) {
            kept.add(new HeadPolicy.Content.Top(first, page, pages, RECENT, MOST_USES, cached.subList(SINK, recent)));
        }
        kept.addAll(cached.subList(recent, cached.size()));
        return kept;
    }
}
