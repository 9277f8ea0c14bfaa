package wan.noise;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class MersenneTwisterTest {
    /** What the C++ standard requires of {@code std::mt19937} (rand.predef): the 10000th number of the default seed. */
    @Test
    void nextInt_isTheStandardsNumber_whenDrawnTenThousandTimes() {
        MersenneTwister random = new MersenneTwister(5489);
        int last = 0;
        for (int i = 0; i < 10_000; i++) {
            last = random.nextInt();
        }
        assertThat(Integer.toUnsignedLong(last)).isEqualTo(4123659995L);
    }
}
