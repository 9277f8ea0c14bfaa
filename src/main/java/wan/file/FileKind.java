package wan.file;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import wan.file.torch.TorchFile;

/** The type of a file, recognised by its first bytes and never by its name. */
public enum FileKind {
    /** A safetensors file, whole or cut off. */
    SAFETENSORS,
    /** What torch.save wrote, or another zip file. */
    TORCH,
    /** NumPy's .npy, or .npz. */
    NUMPY,
    /** A JSON object. */
    JSON,
    /** Anything else. */
    OTHER;

    private static final int START_BYTES = 4096;
    private static final int MOST_MESSAGE_BYTES = 2000;
    private static final String AGAIN = "; fetch the file again";

    /** The first bytes of a file as latin1, and what is there instead of tensors. */
    private record Magic(String start, String what) {}

    private static final String UNPACK = ", a packed archive; unpack it first";

    private static final List<Magic> OTHERS = List.of(
            new Magic(
                    "GGUF", "a GGUF file; GGUF is not supported, use the .safetensors or .pth file of the same model"),
            new Magic(
                    "lmgg", "a GGML file, which is not supported; use the .safetensors or .pth file of the same model"),
            new Magic(
                    "tjgg", "a GGML file, which is not supported; use the .safetensors or .pth file of the same model"),
            new Magic("\u0089HDF", "an HDF5 file, which is not supported; use the .safetensors or .pth file"),
            new Magic("\u001f\u008b", "a gzip file" + UNPACK),
            new Magic("\u00fd7zXZ", "an xz file" + UNPACK),
            new Magic("(\u00b5/\u00fd", "a zstd file" + UNPACK),
            new Magic("BZh", "a bzip2 file" + UNPACK),
            new Magic("7z\u00bc\u00af", "a 7z file" + UNPACK),
            new Magic("Rar!", "a rar file" + UNPACK),
            new Magic("\u0089PNG", "a PNG picture"),
            new Magic("\u00ff\u00d8\u00ff", "a JPEG picture"),
            new Magic("RIFF", "a sound, video or WebP picture (RIFF)"),
            new Magic("%PDF", "a PDF document"),
            new Magic(
                    "version https://git-lfs",
                    "a Git LFS pointer, not the file itself; fetch that with `git lfs pull`"),
            new Magic(
                    "version https://hawser", "a Git LFS pointer, not the file itself; fetch that with `git lfs pull`"),
            new Magic("/annex/objects/", "a git-annex pointer, not the file itself; fetch that with `git annex get`"),
            new Magic(
                    "# xet version", "a Xet pointer, not the file itself; fetch that with the client of Hugging Face"));

    /**
     * What a file is.
     *
     * @throws wan.op.WanException if it is none or cannot be read
     */
    public static FileKind of(Path file) {
        return of(start(file));
    }

    private static FileKind of(byte[] start) {
        if (NumpyStore.isOne(start)) {
            return NUMPY;
        }
        if (TorchFile.beginsLikeOne(Arrays.copyOf(start, Math.min(4, start.length)))) {
            return TORCH;
        }
        if (start.length > Long.BYTES && start[Long.BYTES] == '{') {
            long headerBytes =
                    ByteBuffer.wrap(start).order(ByteOrder.LITTLE_ENDIAN).getLong();
            if (headerBytes > 0 && headerBytes <= StrictJson.MAX_BYTES) {
                return SAFETENSORS;
            }
        }
        return text(start).startsWith("{") ? JSON : OTHER;
    }

    /**
     * What a file is that holds no tensors, and what to do about it; empty if nobody can tell.
     *
     * @throws wan.op.WanException if it cannot be read
     */
    public static Optional<String> foreign(Path file) {
        byte[] bytes = start(file);
        String text = text(bytes);
        String latin1 = new String(bytes, StandardCharsets.ISO_8859_1);
        String lower = text.toLowerCase(Locale.ROOT);
        if (bytes.length == 0) {
            return Optional.of("the file is empty, an unfinished download?" + AGAIN);
        }
        if (isUnfinished(file)) {
            return Optional.of("an unfinished download: " + file.getFileName()
                    + ".aria2 lies beside it, which aria2c removes at the end; let the download finish");
        }
        for (Magic other : OTHERS) {
            if (latin1.startsWith(other.start)) {
                return Optional.of(other.what);
            }
        }
        if (latin1.startsWith("ftyp", 4)) {
            return Optional.of("an MP4 video");
        }
        if (latin1.startsWith("ustar", 257)) {
            return Optional.of("a tar file" + UNPACK);
        }
        if (bytes[0] == '\n' && (latin1.startsWith("\n", 2) || latin1.contains("<unk>"))) {
            return Optional.of("a SentencePiece tokenizer; pass it as prompt.tokenizer");
        }
        if (lower.startsWith("<?xml") || lower.startsWith("<error")) {
            return Optional.of("a server's message (XML) that was saved instead of the file" + AGAIN);
        }
        if (lower.startsWith("<")) {
            return Optional.of(
                    "a web page that was saved instead of the file; download the file itself (on Hugging Face"
                            + " /resolve/ in its address, not /blob/)");
        }
        if (of(bytes) == JSON) {
            return json(lower, text);
        }
        if (new String(bytes, StandardCharsets.ISO_8859_1).chars().allMatch(c -> c == 0)) {
            return Optional.of(
                    "nothing but zeros at its start: an unfinished download, whose place was only reserved" + AGAIN);
        }
        if (bytes.length < MOST_MESSAGE_BYTES
                && of(bytes) == OTHER
                && text.chars().allMatch(FileKind::isText)) {
            return Optional.of("text, not tensors: \"" + Messages.shown(text.strip())
                    + "\"; a server's message that was saved instead of the file? fetch it again, logged in if the model"
                    + " is gated");
        }
        return Optional.empty();
    }

    /** Whether a downloader says that it is not done with a file, which may have its full length already. */
    static boolean isUnfinished(Path file) {
        return Files.exists(file.resolveSibling(file.getFileName() + ".aria2"));
    }

    private static Optional<String> json(String lower, String text) {
        if (lower.contains("\"weight_map\"")) {
            return Optional.empty();
        }
        if (lower.contains("\"added_tokens\"") || lower.contains("\"tokenizer_class\"")) {
            return Optional.of("a tokenizer; pass it as prompt.tokenizer");
        }
        if (lower.contains("\"error\"") || lower.contains("\"message\"")) {
            return Optional.of(
                    "a server's message that was saved instead of the file: " + Messages.shown(text.strip()) + AGAIN);
        }
        if (lower.contains("\"_class_name\"") || lower.contains("\"num_layers\"") || lower.contains("\"model_type\"")) {
            return Optional.of("a model's configuration without tensors; give the folder that contains it");
        }
        return Optional.empty();
    }

    private static boolean isText(int c) {
        return (c >= ' ' && c != 0x7f && c != 0xfffd) || c == '\n' || c == '\r' || c == '\t';
    }

    private static String text(byte[] start) {
        String text = new String(start, StandardCharsets.UTF_8);
        return (text.startsWith("\ufeff") ? text.substring(1) : text).stripLeading();
    }

    private static byte[] start(Path file) {
        Messages.requireFile(file);
        try (InputStream in = Files.newInputStream(file)) {
            return in.readNBytes(START_BYTES);
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        }
    }
}
