package wan.run;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import wan.file.Messages;
import wan.file.StrictJson;
import wan.file.TensorStore;
import wan.op.FormatException;

/** Reads the specification of a run from a JSON file or from a result, which contains the specification of its run. */
public final class SpecFile {
    private static final int MOST_BYTES = 64 << 20;

    /** Of NumPy's .npy, version 1.0: magic, version, and the length of the description. */
    private static final int NPY_PREAMBLE_BYTES = 10;

    private SpecFile() {}

    /**
     * Reads a specification.
     *
     * @param file a .json, or a result of {@code extract} (.safetensors, .npz)
     * @throws FormatException if there is none in it
     */
    public static RunSpec read(Path file) {
        String name = String.valueOf(file.getFileName());
        try {
            if (name.endsWith(".npz")) {
                return inMetadata(file, npzMetadata(file).get("spec"));
            }
            if (name.endsWith(".safetensors")) {
                try (TensorStore store = TensorStore.open(file)) {
                    String json = store.metadata().get("spec");
                    return inMetadata(file, json == null ? null : StrictJson.tree(file, utf8(json)));
                }
            }
            try (InputStream in = Files.newInputStream(file)) { // a pipe, too
                byte[] json = in.readNBytes(MOST_BYTES + 1);
                if (json.length > MOST_BYTES) {
                    throw new FormatException(file, "over " + MOST_BYTES + " bytes; not the specification of a run");
                }
                return SpecJson.read(file, StrictJson.tree(file, json));
            }
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        }
    }

    private static RunSpec inMetadata(Path file, @Nullable JsonNode spec) {
        if (spec == null) {
            throw new FormatException(
                    file,
                    "metadata: expected \"spec\", got none; every result of " + Program.NAME
                            + " has one, except those of its early builds");
        }
        return SpecJson.read(file + ": spec", spec);
    }

    /** The JSON in the array {@code metadata} of a NumPy archive. */
    private static JsonNode npzMetadata(Path file) throws IOException {
        try (ZipFile zip = new ZipFile(file.toFile())) {
            ZipEntry entry = zip.getEntry("metadata.npy");
            if (entry == null || entry.getSize() > MOST_BYTES) {
                throw new FormatException(file, "expected an array metadata, got none; not a result of extract?");
            }
            byte[] npy;
            try (InputStream in = zip.getInputStream(entry)) {
                npy = in.readNBytes(MOST_BYTES);
            }
            int from = npy.length < NPY_PREAMBLE_BYTES
                    ? npy.length
                    : NPY_PREAMBLE_BYTES + (npy[8] & 0xff) + ((npy[9] & 0xff) << 8);
            if (from >= npy.length) {
                throw new FormatException(file, "array metadata: expected a .npy of bytes, got a shorter one");
            }
            JsonNode tree = StrictJson.tree(file, Arrays.copyOfRange(npy, from, npy.length));
            if (!tree.isObject()) {
                throw new FormatException(file, "array metadata: expected a JSON object");
            }
            return tree;
        }
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
