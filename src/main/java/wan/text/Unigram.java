package wan.text;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import wan.op.FormatException;

/**
 * A unigram vocabulary, and the segmentation of a text with the best total score (Kudo 2018, "Subword Regularization").
 *
 * <p>SentencePiece keeps path scores as float and compares candidates as sums in double: that decides ties.
 */
final class Unigram {
    /** What a piece is for; numbered from 1 in the model file, in this order. */
    enum Type {
        /** Matches text. */
        NORMAL,
        /** Stands for what has no piece. */
        UNKNOWN,
        /** Never matches text: {@code </s>}. */
        CONTROL,
        /** Matches text before everything else. */
        USER_DEFINED,
        /** Never matches text. */
        UNUSED,
        /** One byte, {@code <0x41>}; never matches text. */
        BYTE
    }

    /** A piece of the vocabulary; its position in the list is its id. */
    record Piece(String text, double score, Type type) {}

    /** A piece of a text. {@code start} and {@code end} are places in the text. */
    record Span(int start, int end, int id) {}

    private static final double UNKNOWN_PENALTY = 10;

    private final List<Piece> pieces;
    private final Map<String, Integer> ids = new HashMap<>();
    /** Pieces that match text, in the order of their text. */
    private final String[] sorted;

    private final int[] sortedIds;
    private final int unknown;
    private final double unknownScore;
    private final double highestScore;
    private final boolean floatPaths;

    /**
     * A vocabulary.
     *
     * @param file for messages
     * @param floatPaths whether scores of paths are rounded to float, as SentencePiece does, or stay double, as Hugging Face's
     *     fast tokenizers have them
     * @throws FormatException if it has no unknown piece
     */
    Unigram(Object file, List<Piece> pieces, boolean floatPaths) {
        this.pieces = List.copyOf(pieces);
        this.floatPaths = floatPaths;
        List<Integer> matching = new ArrayList<>();
        int unknownId = -1;
        double lowest = Double.POSITIVE_INFINITY;
        double highest = Double.NEGATIVE_INFINITY;
        for (int id = 0; id < pieces.size(); id++) {
            Piece piece = pieces.get(id);
            ids.putIfAbsent(piece.text, id);
            if (Double.isNaN(piece.score)) {
                throw new FormatException(file, "piece " + id + " has no number as its score");
            }
            if (piece.type == Type.UNKNOWN && unknownId < 0) {
                unknownId = id;
            }
            if (piece.type == Type.NORMAL) {
                lowest = Math.min(lowest, piece.score);
                highest = Math.max(highest, piece.score);
            }
            if ((piece.type == Type.NORMAL || piece.type == Type.USER_DEFINED) && !piece.text.isEmpty()) {
                matching.add(id);
            }
        }
        if (unknownId < 0) {
            throw new FormatException(file, "the vocabulary of " + pieces.size() + " pieces has none for unknown text");
        }
        matching.sort(Comparator.comparing(id -> pieces.get(id).text));
        sorted = matching.stream().map(id -> pieces.get(id).text).toArray(String[]::new);
        sortedIds = matching.stream().mapToInt(Integer::intValue).toArray();
        unknown = unknownId;
        unknownScore = lowest - UNKNOWN_PENALTY;
        highestScore = highest;
    }

    /** Number of pieces. */
    int size() {
        return pieces.size();
    }

    /** Id of the piece that stands for unknown text. */
    int unknown() {
        return unknown;
    }

    /** The text of a piece. */
    String text(int id) {
        return pieces.get(id).text;
    }

    /** Id of the piece of exactly this text and any type, or -1. */
    int id(String text) {
        return ids.getOrDefault(text, -1);
    }

    /**
     * The best segmentation.
     *
     * @param text without unpaired surrogates
     * @return spans that cover the text, in order; an unknown one is a single character
     */
    List<Span> segment(String text) {
        int length = text.length();
        double[] best = new double[length + 1];
        int[] from = new int[length + 1];
        int[] piece = new int[length + 1];
        Arrays.fill(from, -1);
        for (int start = 0; start < length; ) {
            int next = start + Character.charCount(text.codePointAt(start));
            boolean character = false;
            int low = 0;
            int high = sorted.length;
            for (int end = start; end < length && low < high; ) {
                low = bound(low, high, end - start, text.charAt(end));
                high = bound(low, high, end - start, text.charAt(end) + 1);
                end++;
                if (low < high && sorted[low].length() == end - start) {
                    offer(start, end, sortedIds[low], score(sortedIds[low]), best, from, piece);
                    character |= end == next;
                }
            }
            if (!character) {
                offer(start, next, unknown, unknownScore, best, from, piece);
            }
            start = next;
        }
        List<Span> spans = new ArrayList<>();
        for (int end = length; end > 0; end = from[end]) {
            spans.add(new Span(from[end], end, piece[end]));
        }
        Collections.reverse(spans);
        return spans;
    }

    private void offer(int start, int end, int id, double score, double[] best, int[] from, int[] piece) {
        double candidate = score + best[start];
        if (from[end] < 0 || candidate > best[end]) {
            best[end] = floatPaths ? (float) candidate : candidate;
            from[end] = start;
            piece[end] = id;
        }
    }

    /** User-defined pieces win over anything of their length; by how much is SentencePiece's choice. */
    private double score(int id) {
        Piece p = pieces.get(id);
        if (p.type == Type.NORMAL) {
            return p.score;
        }
        return p.text.getBytes(StandardCharsets.UTF_8).length * highestScore - 0.1;
    }

    /** First of the pieces low to high, which share {@code depth} characters, whose next character is at least {@code c}. */
    private int bound(int low, int high, int depth, int c) {
        while (low < high) {
            int middle = (low + high) >>> 1;
            String candidate = sorted[middle];
            if (candidate.length() <= depth || candidate.charAt(depth) < c) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }
}
