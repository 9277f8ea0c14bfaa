package wan.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import wan.op.WanException;

class KvCursorTest {
    /** The reference's cache, with frames for keys: it moves the keys that the cursor only renumbers. */
    private static final class MovingCache {
        private final int[] slots;
        private final boolean windowed;
        private final int sink;
        private int localEnd;
        private int globalEnd;

        MovingCache(int size, boolean windowed, int sink) {
            slots = new int[size];
            Arrays.fill(slots, -1);
            this.windowed = windowed;
            this.sink = sink;
        }

        List<Integer> pass(int first, int frames) {
            int end = first + frames;
            if (windowed && end > globalEnd && localEnd + frames > slots.length) {
                int drop = localEnd + frames - slots.length;
                int keep = localEnd - drop - sink;
                if (keep > 0) {
                    System.arraycopy(slots, sink + drop, slots, sink, keep);
                }
                localEnd += end - globalEnd - drop;
            } else {
                localEnd += end - globalEnd;
            }
            globalEnd = end;
            for (int i = 0; i < frames; i++) {
                slots[localEnd - frames + i] = first + i;
            }
            return Arrays.stream(slots, 0, localEnd).boxed().toList();
        }
    }

    @Test
    void place_attendsWhatTheReferenceAttends_forRandomWindowsSinksAndFrameBlocks() {
        Random random = new Random(7);
        for (int run = 0; run < 2000; run++) {
            int largest = 1 + random.nextInt(4);
            int window = largest + random.nextInt(6);
            int sink = random.nextInt(window + 2);
            KvCursor cursor = new KvCursor(window, true, sink);
            MovingCache reference = new MovingCache(window, true, sink);
            int[] pageHolds = new int[window];
            Arrays.fill(pageHolds, -1);
            int frame = 0;
            for (int block = 0; block < 8; block++) {
                int frames = 1 + random.nextInt(largest);
                for (int pass = 0; pass < 3; pass++) {
                    Placement placement = cursor.place("pass", frame, frames);
                    List<Integer> expected = reference.pass(frame, frames);
                    for (int i = 0; i < frames; i++) {
                        pageHolds[placement.written().get(i)] = frame + i;
                    }
                    List<Integer> held = new ArrayList<>();
                    placement.attended().forEach(page -> held.add(pageHolds[page]));
                    assertThat(placement.keyFrames())
                            .as("window %d sink %d", window, sink)
                            .isEqualTo(expected);
                    assertThat(held).as("what the pages hold").isEqualTo(expected);
                    assertThat(placement.attended()).doesNotHaveDuplicates();
                    if (pass > 0) {
                        assertThat(placement.evictedFrames()).isZero();
                    }
                }
                frame += frames;
            }
        }
    }

    @Test
    void place_countsSinkAndPresentFrameBlock_inTheWindow() {
        KvCursor cursor = new KvCursor(6, true, 1);
        Placement _ = cursor.place("pass", 0, 1);
        Placement _ = cursor.place("pass", 1, 3);
        assertThat(cursor.place("pass", 4, 3).keyFrames()).containsExactly(0, 2, 3, 4, 5, 6);
        assertThat(cursor.place("pass", 7, 3).keyFrames()).containsExactly(0, 5, 6, 7, 8, 9);
    }

    @Test
    void place_refuses_whatDoesNotFit() {
        KvCursor cursor = new KvCursor(4, false, 0);
        Placement _ = cursor.place("pass", 0, 3);
        assertThatThrownBy(() -> cursor.place("pass", 3, 3))
                .isInstanceOf(WanException.class)
                .hasMessageContaining("at most 4 frames");
    }
}
