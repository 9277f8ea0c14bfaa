package wan.app;

import java.util.Collection;
import java.util.Comparator;
import java.util.List;

/** What a mistyped word may have meant: words it begins, or that are few edits away. */
final class Nearest {
    private static final int MOST = 3;

    private Nearest() {}

    /** At most three of the known words, the nearest first; empty when none is near. */
    static List<String> of(String typed, Collection<String> known) {
        int tolerance = Math.max(1, typed.length() / 3);
        return known.stream()
                .filter(word -> word.length() > 2)
                .filter(word -> edits(typed, word) <= tolerance || (typed.length() > 3 && word.startsWith(typed)))
                .sorted(Comparator.comparingInt((String word) -> edits(typed, word))
                        .thenComparing(Comparator.naturalOrder()))
                .limit(MOST)
                .toList();
    }

    /** How many characters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
    static int edits(String a, String b) {
        int[][] least = new int[a.length() + 1][b.length() + 1];
        for (int i = 0; i <= a.length(); i++) {
            for (int j = 0; j <= b.length(); j++) {
                if (i == 0 || j == 0) {
                    least[i][j] = i + j;
                    continue;
                }
                int replaced = least[i - 1][j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                least[i][j] = Math.min(replaced, 1 + Math.min(least[i - 1][j], least[i][j - 1]));
                boolean swapped =
                        i > 1 && j > 1 && a.charAt(i - 1) == b.charAt(j - 2) && a.charAt(i - 2) == b.charAt(j - 1);
                if (swapped) {
                    least[i][j] = Math.min(least[i][j], least[i - 2][j - 2] + 1);
                }
            }
        }
        return least[a.length()][b.length()];
    }
}
