package wan.text;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import wan.op.FormatException;

/** Reads {@code spiece.model}: the protobuf that SentencePiece writes (its {@code sentencepiece_model.proto}). */
final class SentencePieceFile {
    private static final int UNIGRAM = 1;

    private final Object file;
    private final List<Unigram.Piece> pieces = new ArrayList<>();
    private CharacterMap map = CharacterMap.IDENTITY;
    private int modelType = UNIGRAM;
    private boolean byteFallback;
    private boolean addDummyPrefix = true;
    private boolean removeExtraWhitespaces = true;
    private boolean escapeWhitespaces = true;
    private boolean whitespaceAsSuffix;

    private SentencePieceFile(Object file) {
        this.file = file;
    }

    /**
     * The tokenizer that a model file describes.
     *
     * @param file for messages
     * @param bytes the whole file
     * @throws FormatException if it is broken or no unigram model
     */
    static Tokenizer read(Object file, ByteBuffer bytes) {
        SentencePieceFile reader = new SentencePieceFile(file);
        reader.model(new Protobuf(file, bytes));
        if (reader.modelType != UNIGRAM || reader.whitespaceAsSuffix) {
            throw new FormatException(
                    file, "only unigram models with white space in front of words are supported, as UMT5's");
        }
        return new SentencePieceTokenizer(
                file,
                new Unigram(file, reader.pieces, true),
                reader.map,
                reader.byteFallback,
                new SentencePieceTokenizer.Whitespace(
                        reader.addDummyPrefix, reader.removeExtraWhitespaces, reader.escapeWhitespaces));
    }

    private void model(Protobuf message) {
        while (message.next()) {
            switch (message.field()) {
                case 1 -> piece(message.message());
                case 2 -> trainer(message.message());
                case 3 -> normalizer(message.message());
                default -> {}
            }
        }
    }

    private void piece(Protobuf message) {
        String text = "";
        float score = 0;
        int type = 1;
        while (message.next()) {
            switch (message.field()) {
                case 1 -> text = message.text();
                case 2 -> score = message.number();
                case 3 -> type = message.integer();
                default -> {}
            }
        }
        Unigram.Type[] types = Unigram.Type.values();
        if (type < 1 || type > types.length) {
            throw new FormatException(file, "piece " + pieces.size() + " has the unknown type " + type);
        }
        pieces.add(new Unigram.Piece(text, score, types[type - 1]));
    }

    private void trainer(Protobuf message) {
        while (message.next()) {
            switch (message.field()) {
                case 3 -> modelType = message.integer();
                case 24 -> whitespaceAsSuffix = message.bool();
                case 35 -> byteFallback = message.bool();
                default -> {}
            }
        }
    }

    private void normalizer(Protobuf message) {
        while (message.next()) {
            switch (message.field()) {
                case 2 -> map = CharacterMap.of(file, message.bytes());
                case 3 -> addDummyPrefix = message.bool();
                case 4 -> removeExtraWhitespaces = message.bool();
                case 5 -> escapeWhitespaces = message.bool();
                default -> {}
            }
        }
    }
}
