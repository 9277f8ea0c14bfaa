package wan.cache;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What every policy keeps, and where, over 30 frame blocks of three frames, against lists that were made by hand.
 *
 * <p>A list has FRAME@POSITION for each key; f is the first frame of the block, mG the mean of frames G to G + 3, eS the moving average in
 * sink slot S, pG patches of frames G to G + 2, of which the last is compared with G + 3, tG tokens chosen at frame G. The first lists are those of block 0, 1, ...; then the last ones repeat.
 */
class PoliciesTest {
    private static final int BLOCKS = 30;

    static Stream<Arguments> lists() {
        return Stream.of(
                // A window of 9 frames: 3 sink frames, 3 before the block, the block.
                Arguments.of(
                        "self-forcing-window",
                        "full",
                        List.of("", "0@0 1@1 2@2", "0@0 1@1 2@2 3@3 4@4 5@5"),
                        List.of("0@0 1@1 2@2 f-3@f-3 f-2@f-2 f-1@f-1")),
                // 3 + 6 slots before the block's, positions are slots: only distances count, so the sink ends at the
                // window.
                Arguments.of(
                        "streaming-llm",
                        "full",
                        List.of("", "0@0 1@1 2@2", "0@0 1@1 2@2 3@3 4@4 5@5", "0@0 1@1 2@2 3@3 4@4 5@5 6@6 7@7 8@8"),
                        List.of("0@f-9 1@f-8 2@f-7 f-6@f-6 f-5@f-5 f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1")),
                // Until the second block's context pass is over, frame 0 and the block before.
                Arguments.of("dummy-forcing", "sink", List.of("", "0@0 1@1 2@2"), List.of("0@0")),
                Arguments.of("dummy-forcing", "mid", List.of("", "0@0 1@1 2@2"), List.of("f-3@f-3 f-2@f-2 f-1@f-1")),
                Arguments.of("dummy-forcing", "dummy", List.of("", "0@0 1@1 2@2"), List.of("f-1@f-1")),
                // For LongLive a frame block later.
                Arguments.of(
                        "dummy-forcing-longlive",
                        "sink",
                        List.of("", "0@0 1@1 2@2", "0@0 3@3 4@4 5@5"),
                        List.of("0@0")),
                Arguments.of(
                        "dummy-forcing-longlive",
                        "mid",
                        List.of("", "0@0 1@1 2@2", "0@0 3@3 4@4 5@5"),
                        List.of("f-3@f-3 f-2@f-2 f-1@f-1")),
                Arguments.of(
                        "dummy-forcing-longlive",
                        "dummy",
                        List.of("", "0@0 1@1 2@2", "0@0 3@3 4@4 5@5"),
                        List.of("f-1@f-1")),
                Arguments.of("forcing-kv", "static", List.of(""), List.of("0@0 f-1@f-1")),
                // Patches of three frames, chosen when the third block is done, stand between the sink and the last
                // frame.
                Arguments.of(
                        "forcing-kv", "dynamic", List.of("", "0@0 2@2", "0@0 5@5"), List.of("0@0 pf-4@f-2 f-1@f-1")),
                // One position for sink and phase: 0 until 21 frames lie between.
                Arguments.of(
                        "pyramid-forcing",
                        "-1",
                        List.of(
                                "",
                                "0@0 1@1 2@2",
                                "0@0 2@2 3@3 4@4 5@5",
                                "0@0 3@0 5@5 6@6 7@7 8@8",
                                "0@0 6@0 8@8 9@9 10@10 11@11",
                                "0@0 3@0 9@0 11@11 12@12 13@13 14@14",
                                "0@0 6@0 12@0 14@14 15@15 16@16 17@17",
                                "0@0 3@0 9@0 15@0 17@17 18@18 19@19 20@20",
                                "0@3 6@3 12@3 18@3 20@20 21@21 22@22 23@23"),
                        List.of("0@f-21 f-24@f-21 f-18@f-21 f-12@f-21 f-6@f-21 f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1")),
                // Multiples of 6: in even blocks f is one, the newest is f-6; in odd ones it is f-3, which is recent
                // too.
                Arguments.of(
                        "pyramid-forcing",
                        "1",
                        List.of(
                                "",
                                "0@0 1@0 2@0",
                                "0@0 1@0 2@0 3@3 4@4 5@5",
                                "0@0 1@0 2@0 6@0 5@5 6@6 7@7 8@8",
                                "0@0 1@0 2@0 6@0 8@8 9@9 10@10 11@11",
                                "0@0 1@0 2@0 6@0 12@0 11@11 12@12 13@13 14@14",
                                "0@0 1@0 2@0 6@0 12@0 14@14 15@15 16@16 17@17",
                                "0@0 1@0 2@0 6@0 12@0 18@0 17@17 18@18 19@19 20@20",
                                "0@3 1@3 2@3 6@3 12@3 18@3 20@20 21@21 22@22 23@23"),
                        List.of(
                                "0@f-21 1@f-21 2@f-21 f-21@f-21 f-15@f-21 f-9@f-21 f-3@f-21"
                                        + " f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1",
                                "0@f-21 1@f-21 2@f-21 f-24@f-21 f-18@f-21 f-12@f-21 f-6@f-21"
                                        + " f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1")),
                // Groups of 4 frames; the first is left out, though it takes one of the four places until it leaves.
                Arguments.of(
                        "pyramid-forcing",
                        "2",
                        List.of(
                                "",
                                "0@0 1@0 2@0",
                                "0@0 1@0 2@0 3@3 4@4 5@5",
                                "0@0 1@0 2@0 m4@5 5@5 6@6 7@7 8@8",
                                "0@0 1@0 2@0 m4@5 m8@9 8@8 9@9 10@10 11@11",
                                "0@0 1@0 2@0 m4@5 m8@9 11@11 12@12 13@13 14@14",
                                "0@0 1@0 2@0 m4@5 m8@9 m12@13 14@14 15@15 16@16 17@17",
                                "0@0 1@0 2@0 m4@5 m8@9 m12@13 m16@17 17@17 18@18 19@19 20@20"),
                        List.of(
                                "0@f-21 1@f-21 2@f-21 mf-16@f-15 mf-12@f-11 mf-8@f-7 mf-4@f-3"
                                        + " f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1",
                                "0@f-21 1@f-21 2@f-21 mf-19@f-18 mf-15@f-14 mf-11@f-10 mf-7@f-6"
                                        + " f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1",
                                "0@f-21 1@f-21 2@f-21 mf-18@f-17 mf-14@f-13 mf-10@f-9 mf-6@f-5"
                                        + " f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1",
                                "0@f-21 1@f-21 2@f-21 mf-17@f-16 mf-13@f-12 mf-9@f-8 mf-5@f-4"
                                        + " f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1")),
                // The cache of 21 frames is cut down to 16 in block 7, has 19 after it, and is cut down again in block
                // 9: the first 10 frames
                // begin 16 frames before the cut, 2 pages of tokens stand at the last frame that they were chosen from,
                // before the last frame.
                Arguments.of(
                        "deep-forcing",
                        "full",
                        List.of(
                                "",
                                "0@0 1@1 2@2",
                                "0@0 1@1 2@2 3@3 4@4 5@5",
                                "0@0 1@1 2@2 3@3 4@4 5@5 6@6 7@7 8@8",
                                "0@0 1@1 2@2 3@3 4@4 5@5 6@6 7@7 8@8 9@9 10@10 11@11",
                                "0@0 1@1 2@2 3@3 4@4 5@5 6@6 7@7 8@8 9@9 10@10 11@11 12@12 13@13 14@14",
                                "0@0 1@1 2@2 3@3 4@4 5@5 6@6 7@7 8@8 9@9 10@10 11@11 12@12 13@13 14@14 15@15 16@16 17@17",
                                "0@5 1@6 2@7 3@8 4@9 5@10 6@11 7@12 8@13 9@14 t21@19 t21@19 20@20",
                                "0@5 1@6 2@7 3@8 4@9 5@10 6@11 7@12 8@13 9@14 t21@19 t21@19 20@20 21@21 22@22 23@23",
                                "0@11 1@12 2@13 3@14 4@15 5@16 6@17 7@18 8@19 9@20 t27@25 t27@25 26@26"),
                        List.of(
                                "0@f-19 1@f-18 2@f-17 3@f-16 4@f-15 5@f-14 6@f-13 7@f-12 8@f-11 9@f-10"
                                        + " tf-3@f-5 tf-3@f-5 f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1",
                                "0@f-16 1@f-15 2@f-14 3@f-13 4@f-12 5@f-11 6@f-10 7@f-9 8@f-8 9@f-7"
                                        + " tf@f-2 tf@f-2 f-1@f-1")),
                // 9 slots: 3 of the sink, 3 before the block, the block.
                Arguments.of(
                        "reward-forcing",
                        "full",
                        List.of("", "0@0 1@1 2@2", "0@0 1@1 2@2 3@3 4@4 5@5"),
                        List.of("e0@f-6 e1@f-5 e2@f-4 f-3@f-3 f-2@f-2 f-1@f-1")),
                // 6 slots: frame 0, 2 before the block, the block.
                Arguments.of("infinity-rope", "full", List.of("", "0@0 1@1 2@2"), List.of("0@f-3 f-2@f-2 f-1@f-1")));
    }

    /** Of the second and third frame of a block, where they have keys of their own: by a phase and a position of their own. */
    static Stream<Arguments> listsOfLaterFrames() {
        return Stream.of(
                Arguments.of(
                        1,
                        "-1",
                        List.of(
                                "",
                                "0@0 1@1 2@2",
                                "0@0 1@0 2@2 3@3 4@4 5@5",
                                "0@0 4@0 5@5 6@6 7@7 8@8",
                                "0@0 1@0 7@0 8@8 9@9 10@10 11@11",
                                "0@0 4@0 10@0 11@11 12@12 13@13 14@14",
                                "0@0 1@0 7@0 13@0 14@14 15@15 16@16 17@17",
                                "0@1 4@1 10@1 16@1 17@17 18@18 19@19 20@20"),
                        List.of("0@f-20 f-23@f-20 f-17@f-20 f-11@f-20 f-5@f-20 f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1")),
                Arguments.of(
                        2,
                        "-1",
                        List.of(
                                "",
                                "0@0 1@1 2@2",
                                "0@0 2@0 2@2 3@3 4@4 5@5",
                                "0@0 5@0 5@5 6@6 7@7 8@8",
                                "0@0 2@0 8@0 8@8 9@9 10@10 11@11",
                                "0@0 5@0 11@0 11@11 12@12 13@13 14@14",
                                "0@0 2@0 8@0 14@0 14@14 15@15 16@16 17@17",
                                "0@2 5@2 11@2 17@2 17@17 18@18 19@19 20@20"),
                        List.of("0@f-19 f-22@f-19 f-16@f-19 f-10@f-19 f-4@f-19 f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1")),
                Arguments.of(
                        2,
                        "1",
                        List.of(
                                "",
                                "0@0 1@0 2@0",
                                "0@0 1@0 2@0 3@3 4@4 5@5",
                                "0@0 1@0 2@0 6@0 5@5 6@6 7@7 8@8",
                                "0@0 1@0 2@0 6@0 8@8 9@9 10@10 11@11",
                                "0@0 1@0 2@0 6@0 12@0 11@11 12@12 13@13 14@14",
                                "0@0 1@0 2@0 6@0 12@0 14@14 15@15 16@16 17@17",
                                "0@2 1@2 2@2 6@2 12@2 18@2 17@17 18@18 19@19 20@20",
                                "0@5 1@5 2@5 6@5 12@5 18@5 20@20 21@21 22@22 23@23"),
                        List.of(
                                "0@f-19 1@f-19 2@f-19 f-21@f-19 f-15@f-19 f-9@f-19 f-3@f-19"
                                        + " f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1",
                                "0@f-19 1@f-19 2@f-19 f-24@f-19 f-18@f-19 f-12@f-19 f-6@f-19"
                                        + " f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1")),
                Arguments.of(
                        1,
                        "2",
                        List.of(
                                "",
                                "0@0 1@0 2@0",
                                "0@0 1@0 2@0 3@3 4@4 5@5",
                                "0@0 1@0 2@0 m4@5 5@5 6@6 7@7 8@8",
                                "0@0 1@0 2@0 m4@5 m8@9 8@8 9@9 10@10 11@11",
                                "0@0 1@0 2@0 m4@5 m8@9 11@11 12@12 13@13 14@14",
                                "0@0 1@0 2@0 m4@5 m8@9 m12@13 14@14 15@15 16@16 17@17",
                                "0@1 1@1 2@1 m4@5 m8@9 m12@13 m16@17 17@17 18@18 19@19 20@20"),
                        List.of(
                                "0@f-20 1@f-20 2@f-20 mf-16@f-15 mf-12@f-11 mf-8@f-7 mf-4@f-3"
                                        + " f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1",
                                "0@f-20 1@f-20 2@f-20 mf-19@f-18 mf-15@f-14 mf-11@f-10 mf-7@f-6"
                                        + " f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1",
                                "0@f-20 1@f-20 2@f-20 mf-18@f-17 mf-14@f-13 mf-10@f-9 mf-6@f-5"
                                        + " f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1",
                                "0@f-20 1@f-20 2@f-20 mf-17@f-16 mf-13@f-12 mf-9@f-8 mf-5@f-4"
                                        + " f-4@f-4 f-3@f-3 f-2@f-2 f-1@f-1")));
    }

    @ParameterizedTest
    @MethodSource("listsOfLaterFrames")
    void keysOfLaterFrames_areTheirOwn(int frame, String group, List<String> first, List<String> repeated) {
        assertThat(Arrays.stream(Policies.values()).filter(Policies::perFrame))
                .containsExactly(Policies.PYRAMID_FORCING);
        assertKeys("pyramid-forcing", group, frame, first, repeated);
    }

    @ParameterizedTest
    @MethodSource("lists")
    void keys_areThoseOfTheMethod_overThirtyFrameBlocks(
            String name, String group, List<String> first, List<String> repeated) {
        assertKeys(name, group, 0, first, repeated);
    }

    private static void assertKeys(String name, String group, int frame, List<String> first, List<String> repeated) {
        Policies policy = Policies.of(name);
        for (int block = 0; block < BLOCKS; block++) {
            int start = 3 * block;
            String pattern =
                    block < first.size() ? first.get(block) : repeated.get((block - first.size()) % repeated.size());
            List<String> expected = pattern.isEmpty()
                    ? List.of()
                    : Arrays.stream(pattern.split(" ", -1))
                            .map(token -> resolved(token, start))
                            .toList();
            HeadPolicy.History history = new HeadPolicy.History(Collections.nCopies(block, 3), 3);
            List<HeadPolicy.Key> keys = policy.keysOf(group, history, frame);
            assertThat(keys.stream().map(key -> text(key, start)).toList())
                    .as(name + " " + group + " block " + block + " frame " + frame)
                    .isEqualTo(expected);
        }
    }

    @Test
    void lists_areOfEveryPolicy() {
        List<String> there =
                lists().map(list -> list.get()[0] + " " + list.get()[1]).toList();
        for (Policies policy : Policies.values()) {
            for (String group : policy.groups()) {
                if (policy != Policies.FULL) {
                    assertThat(there).contains(policy.option() + " " + group);
                }
            }
        }
    }

    /** Every frame that has left slot by slot: 0.999 of what was there and 0.001 of the frame. */
    @Test
    void rewardForcing_averagesWhatHasLeft() {
        List<HeadPolicy.Key> keys =
                Policies.REWARD_FORCING.keys("full", new HeadPolicy.History(Collections.nCopies(5, 3), 3));
        double[] shares = new double[15];
        collect(keys.get(1).content(), 1, shares);
        double[] expected = new double[15];
        expected[10] = 0.001;
        expected[7] = 0.999 * 0.001;
        expected[4] = 0.999 * 0.999 * 0.001;
        expected[1] = 0.999 * 0.999 * 0.999;
        for (int frame = 0; frame < 15; frame++) {
            assertThat(shares[frame])
                    .as("frame " + frame)
                    .isCloseTo(expected[frame], org.assertj.core.data.Offset.offset(1e-12));
        }
    }

    /** What Deep Forcing chooses from: at first all between, then what was chosen and all that came since. */
    @Test
    void deepForcing_choosesFromAllBetween() {
        assertThat(candidates(7)).isEqualTo("10 11 12 13 14 15 16 17 18 19");
        assertThat(candidates(9)).isEqualTo("t21.0 t21.1 20 21 22 23 24 25");
        assertThat(candidates(11)).isEqualTo("t27.0 t27.1 26 27 28 29 30 31");
        // Of single frames, the first block that does not fit is at 21 too; then every sixth cuts.
        HeadPolicy.History single = new HeadPolicy.History(Collections.nCopies(21, 1), 1);
        List<HeadPolicy.Key> keys = Policies.DEEP_FORCING.keys("full", single);
        assertThat(keys.stream().map(key -> text(key, 21)).toList())
                .endsWith("9@14", "t21@17", "t21@17", "18@18", "19@19", "20@20");
        assertThat(keys.getFirst().distance()).isEqualTo(16);
    }

    private static String candidates(int block) {
        return Policies.DEEP_FORCING.keys("full", new HeadPolicy.History(Collections.nCopies(block, 3), 3)).stream()
                .map(HeadPolicy.Key::content)
                .filter(HeadPolicy.Content.Top.class::isInstance)
                .map(content -> ((HeadPolicy.Content.Top) content)
                        .candidates().stream()
                                .map(one -> one instanceof HeadPolicy.Content.Top top
                                        ? "t" + top.chosenAt() + "." + top.page()
                                        : "" + one.lastFrame())
                                .collect(Collectors.joining(" ")))
                .distinct()
                .collect(Collectors.joining(" | "));
    }

    private static void collect(HeadPolicy.Content content, double share, double[] shares) {
        switch (content) {
            case HeadPolicy.Content.Frame frame -> shares[frame.frame()] += share;
            case HeadPolicy.Content.Blend blend -> {
                for (int i = 0; i < blend.parts().size(); i++) {
                    collect(blend.parts().get(i), share * blend.weights().get(i), shares);
                }
            }
            case HeadPolicy.Content.Patches _, HeadPolicy.Content.Top _ -> throw new AssertionError(content);
        }
    }

    private static String resolved(String token, int start) {
        String[] sides = token.split("@", -1);
        String kind = sides[0].matches("[mept].*") ? sides[0].substring(0, 1) : "";
        return kind + number(sides[0].substring(kind.length()), start) + "@" + number(sides[1], start);
    }

    private static int number(String text, int start) {
        return text.equals("f")
                ? start
                : text.startsWith("f") ? start + Integer.parseInt(text.substring(1)) : Integer.parseInt(text);
    }

    private static String text(HeadPolicy.Key key, int start) {
        String what = switch (key.content()) {
            case HeadPolicy.Content.Frame frame -> String.valueOf(frame.frame());
            case HeadPolicy.Content.Blend blend -> blend.parts().size() == 4 ? mean(blend) : "e" + innermost(blend);
            case HeadPolicy.Content.Patches patches -> {
                List<Integer> frames = frames(patches.frames());
                assertThat(frames).hasSize(4);
                assertThat(patches).isEqualTo(new HeadPolicy.Content.Patches(patches.frames(), 6, 1, "dynamic"));
                yield "p" + frames.getFirst();
            }
            case HeadPolicy.Content.Top top -> {
                assertThat(List.of(top.pages(), top.recent(), top.mostUses())).containsExactly(2, 4, 7);
                yield "t" + top.chosenAt();
            }
        };
        return what + "@" + (start - key.distance());
    }

    private static String mean(HeadPolicy.Content.Blend blend) {
        assertThat(blend.weights()).containsOnly(0.25);
        List<Integer> frames = frames(blend.parts());
        assertThat(frames).hasSize(4);
        return "m" + frames.getFirst();
    }

    /** The numbers of neighbouring frames. */
    private static List<Integer> frames(List<HeadPolicy.Content> parts) {
        List<Integer> frames = new ArrayList<>();
        parts.forEach(part -> frames.add(((HeadPolicy.Content.Frame) part).frame()));
        for (int i = 1; i < frames.size(); i++) {
            assertThat(frames.get(i)).isEqualTo(frames.getFirst() + i);
        }
        return frames;
    }

    private static int innermost(HeadPolicy.Content content) {
        return switch (content) {
            case HeadPolicy.Content.Frame frame -> frame.frame();
            case HeadPolicy.Content.Blend blend -> innermost(blend.parts().getFirst());
            case HeadPolicy.Content.Patches _, HeadPolicy.Content.Top _ -> throw new AssertionError(content);
        };
    }
}
