package wan.cache;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import wan.op.UsageException;

/**
 * The policies of published methods, as far as whole frames go. Each says where it comes from and what of the method it leaves out.
 *
 * <p>Repositories were read; nothing of them was run.
 */
public enum Policies implements HeadPolicy {
    /** Every head attends to every frame, at its absolute position: Self-Forcing without a window. */
    FULL(List.of("full")) {
        @Override
        public List<HeadPolicy.Key> keys(String group, HeadPolicy.History history) {
            return absolute(0, history.firstFrame(), history.firstFrame());
        }
    },

    /** Self-Forcing with a window of 9 frames, a sink of 3 among them, absolute positions; the current block is inside the window. */
    SELF_FORCING_WINDOW(List.of("full")) {
        @Override
        public List<HeadPolicy.Key> keys(String group, HeadPolicy.History history) {
            return union(absolute(0, 3, history.firstFrame()), recent(3, history.firstFrame()));
        }
    },

    /**
     * StreamingLLM (mit-han-lab/streaming-llm, kv_cache.py and modify_llama.py), frames for tokens: the first 3 and the last 6, at the positions
     * of their slots in the cache.
     */
    STREAMING_LLM(List.of("full")) {
        @Override
        public List<HeadPolicy.Key> keys(String group, HeadPolicy.History history) {
            return slots(3, 6, history.firstFrame());
        }
    },

    /**
     * Dummy Forcing (csguoh/DummyForcing 28128ed, wan/modules/dummyforcing.py): from the second frame block's context pass on, sink heads keep frame
     * 0, mid heads the last 3 frames, dummy heads the last one; before, all heads keep frame 0 and the block before. Absolute positions.
     * Which head is which it chooses in that context pass, unless groups are given.
     */
    DUMMY_FORCING(List.of("sink", "mid", "dummy")) {
        @Override
        public List<HeadPolicy.Key> keys(String group, HeadPolicy.History history) {
            return dummy(group, history, 2);
        }

        @Override
        public int choosingBlock() {
            return 1;
        }
    },

    /**
     * Dummy Forcing for LongLive (the same, configs/longlive_inference.yaml: ar_start 2): a frame block later. When it chooses, the first frames are
     * as many key slots as the block has frames, frames 0, 3 and 4 for blocks of 3, and of the queries a third of the block is drawn.
     */
    DUMMY_FORCING_LONGLIVE(List.of("sink", "mid", "dummy")) {
        @Override
        public List<HeadPolicy.Key> keys(String group, HeadPolicy.History history) {
            return dummy(group, history, 3);
        }

        @Override
        public int choosingBlock() {
            return 2;
        }

        @Override
        public int choosingFrames() {
            return 3;
        }
    },

    /**
     * Forcing-KV (zju-jiyicheng/Forcing-KV 50ac1f4, causal_model_forcingkv.py, configs/forcing-kv): static heads keep frame 0 and the last one, and so
     * do all heads of layer 0. From the fourth frame block on dynamic heads keep a page of patches besides: 6 of 18, of the last frame of the
     * block before the last and the first two frames of the last one, those whose rotated keys have the least mean cosine with the next frame's; the
     * first sample's keys at layer 1 decide for all. Absolute positions. A last block of other than 3 frames leaves no patches.
     */
    FORCING_KV(List.of("static", "dynamic")) {
        @Override
        public List<HeadPolicy.Key> keys(String group, HeadPolicy.History history) {
            int first = history.firstFrame();
            List<HeadPolicy.Key> keys = new ArrayList<>(absolute(0, 1, first));
            if (group.equals("dynamic")
                    && history.count() >= 3
                    && history.blocks().getLast() == 3) {
                List<HeadPolicy.Content> frames = new ArrayList<>();
                for (int frame = first - 4; frame < first; frame++) {
                    frames.add(new HeadPolicy.Content.Frame(frame));
                }
                keys.add(new HeadPolicy.Key(new HeadPolicy.Content.Patches(frames, 6, 1, group), 2));
            }
            return union(keys, recent(1, first));
        }

        @Override
        public String groupIn(int layer, String group) {
            return layer == 0 ? "static" : group;
        }
    },

    /**
     * Pyramid Forcing (IF-LAB-PKU/Pyramid-Forcing 62e95d3, headkv/csrc/mega_plan.cc and anchor_store_update.cu, configs/pyramid-forcing.yaml,
     * labels best_labels.csv): label -1 keeps frame 0, the last 4 frames of the query frame's phase modulo 6, and 4 recent; label 1 the first 3, of
     * the last 4 frames that 6 divides those behind them, and 4 recent; label 2 the first 3, the means of the last 4 groups of 4 frames
     * without the very first group, and 4 recent. Sink, phase and stride all stand at one position, 21 frames before the query frame (at 0 until
     * there are so many), recent frames where they were, a mean at its second frame; a frame may be there twice, as recent and by its stride.
     */
    PYRAMID_FORCING(List.of("-1", "1", "2")) {
        @Override
        public boolean perFrame() {
            return true;
        }

        @Override
        public List<HeadPolicy.Key> keys(String group, HeadPolicy.History history) {
            return keysOf(group, history, 0);
        }

        @Override
        public List<HeadPolicy.Key> keysOf(String group, HeadPolicy.History history, int queryFrame) {
            int first = history.firstFrame();
            int query = first + queryFrame;
            int far = first - Math.max(0, query - 21);
            int sink = group.equals("-1") ? 1 : 3;
            List<HeadPolicy.Key> keys = new ArrayList<>();
            for (int frame = 0; frame < Math.min(sink, first); frame++) {
                keys.add(new HeadPolicy.Key(new HeadPolicy.Content.Frame(frame), far));
            }
            if (group.equals("2")) {
                for (int from = Math.max(4, (first / 4 - 4) * 4); from + 4 <= first; from += 4) {
                    List<HeadPolicy.Content> frames = new ArrayList<>();
                    for (int frame = from; frame < from + 4; frame++) {
                        frames.add(new HeadPolicy.Content.Frame(frame));
                    }
                    keys.add(new HeadPolicy.Key(
                            new HeadPolicy.Content.Blend(frames, List.of(0.25, 0.25, 0.25, 0.25)), first - (from + 1)));
                }
            } else {
                int phase = group.equals("-1") ? query % 6 : 0;
                for (int frame : lastOf(everySixth(phase, first), 4)) {
                    if (frame >= sink) {
                        keys.add(new HeadPolicy.Key(new HeadPolicy.Content.Frame(frame), far));
                    }
                }
            }
            // Those that are no sink; a sink frame stands at its own place alone.
            keys.addAll(absolute(Math.max(sink, first - 4), first, first));
            return keys;
        }
    },

    /** Deep Forcing, as {@link DeepForcing} has it. */
    DEEP_FORCING(List.of("full")) {
        @Override
        public List<HeadPolicy.Key> keys(String group, HeadPolicy.History history) {
            return DeepForcing.keys(history);
        }
    },

    /**
     * Reward Forcing (JaydenLyh/Reward-Forcing 4317f5a, causal_model.py): 3 sink frames and the last 3 at the positions of their slots; when a frame
     * leaves, slot by slot the sink becomes 0.999 of itself and 0.001 of the frame.
     */
    REWARD_FORCING(List.of("full")) {
        @Override
        public List<HeadPolicy.Key> keys(String group, HeadPolicy.History history) {
            int first = history.firstFrame();
            if (first <= 6) {
                return absolute(0, first, first);
            }
            List<HeadPolicy.Key> keys = new ArrayList<>();
            for (int slot = 0; slot < 3; slot++) {
                keys.add(new HeadPolicy.Key(movingAverage(slot, 3, first - 3, 0.999), 6 - slot));
            }
            keys.addAll(recent(3, first));
            return keys;
        }
    },

    /**
     * Infinity-RoPE (yesiltepe-hidir/infinity-rope 63d7b84, causal_model.py): frame 0 and the frames that a window of 6 leaves room for beside a
     * block of 3, at the positions of their slots. Left out: the flush at a change of the prompt and the scene cut, which are events of a run.
     */
    INFINITY_ROPE(List.of("full")) {
        @Override
        public List<HeadPolicy.Key> keys(String group, HeadPolicy.History history) {
            return slots(1, 2, history.firstFrame());
        }
    };

    @SuppressWarnings("ImmutableEnumChecker") // made by List.of
    private final List<String> groups;

    Policies(List<String> groups) {
        this.groups = groups;
    }

    @Override
    public List<String> groups() {
        return groups;
    }

    /** As options spell it: {@code dummy-forcing}. */
    public String option() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /**
     * The policy of a name.
     *
     * @throws UsageException if there is none
     */
    public static Policies of(String name) {
        return Arrays.stream(values())
                .filter(policy -> policy.option().equals(name))
                .findFirst()
                .orElseThrow(() -> new UsageException("cache policy: expected one of "
                        + Arrays.stream(values()).map(Policies::option).toList() + ", got \"" + name + "\""));
    }

    /** Frames from one to before another, where they were. */
    static List<HeadPolicy.Key> absolute(int from, int end, int first) {
        List<HeadPolicy.Key> keys = new ArrayList<>();
        for (int frame = from; frame < Math.min(end, first); frame++) {
            keys.add(new HeadPolicy.Key(new HeadPolicy.Content.Frame(frame), first - frame));
        }
        return keys;
    }

    static List<HeadPolicy.Key> recent(int count, int first) {
        return absolute(Math.max(0, first - count), first, first);
    }

    /** Dummy Forcing's keys, where groups differ from a frame block on; before, frame 0 and the last 3. */
    private static List<HeadPolicy.Key> dummy(String group, HeadPolicy.History history, int groupedFrom) {
        int first = history.firstFrame();
        if (history.count() < groupedFrom) {
            return union(absolute(0, 1, first), recent(3, first));
        }
        return switch (group) {
            case "sink" -> absolute(0, 1, first);
            case "mid" -> recent(3, first);
            default -> recent(1, first);
        };
    }

    private static List<HeadPolicy.Key> union(List<HeadPolicy.Key> a, List<HeadPolicy.Key> b) {
        List<HeadPolicy.Key> all = new ArrayList<>(a);
        b.stream().filter(key -> !a.contains(key)).forEach(all::add);
        return all;
    }

    /** The first frames, directly before the last ones. */
    private static List<HeadPolicy.Key> slots(int sink, int recent, int first) {
        if (first <= sink + recent) {
            return absolute(0, first, first);
        }
        List<HeadPolicy.Key> keys = new ArrayList<>();
        for (int frame = 0; frame < sink; frame++) {
            keys.add(new HeadPolicy.Key(new HeadPolicy.Content.Frame(frame), recent + sink - frame));
        }
        keys.addAll(recent(recent, first));
        return keys;
    }

    private static List<Integer> everySixth(int phase, int end) {
        List<Integer> frames = new ArrayList<>();
        for (int frame = phase; frame < end; frame += 6) {
            frames.add(frame);
        }
        return frames;
    }

    private static List<Integer> lastOf(List<Integer> frames, int count) {
        return frames.subList(Math.max(0, frames.size() - count), frames.size());
    }

    /** Slot {@code slot} of a sink of {@code sink} frames after all frames of its slot before {@code end} have left. */
    private static HeadPolicy.Content movingAverage(int slot, int sink, int end, double keep) {
        HeadPolicy.Content average = new HeadPolicy.Content.Frame(slot);
        for (int frame = sink + slot; frame < end; frame += sink) {
            average = new HeadPolicy.Content.Blend(
                    List.of(average, new HeadPolicy.Content.Frame(frame)), List.of(keep, 1 - keep));
        }
        return average;
    }
}
