package wan.file;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import wan.op.DType;
import wan.op.FormatException;
import wan.op.Shape;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * NumPy's files: {@code .npz}, whose arrays have names, and {@code .npy}, whose one array is called {@code tensor}. Read into memory as
 * they are asked for, in C order.
 */
public final class NumpyStore implements TensorStore {
    /** Name of the array of an .npy file, as of a PyTorch file that is one tensor. */
    public static final String ONLY = "tensor";

    static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};

    private static final String SUFFIX = ".npy";

    /** Name of the array that holds what a result says of itself. */
    private static final String METADATA = "metadata";

    private static final int PREAMBLE_BYTES = 8;
    private static final int MOST_HEADER_BYTES = 1 << 16;
    private static final Pattern HEADER = Pattern.compile(
            "\\{'descr': '([<>|=]?)([a-zA-Z])(\\d{1,3})', 'fortran_order': (True|False), 'shape': \\(([0-9, ]*)\\),? ?\\} *\\n?");

    private final Path path;
    private final SequencedMap<String, ZipEntry> entries = new LinkedHashMap<>();
    private final @Nullable ZipFile zip; // none for an .npy file

    private NumpyStore(Path path, @Nullable ZipFile zip) {
        this.path = path;
        this.zip = zip;
    }

    /** Whether a file's first bytes are those of NumPy's arrays, bare or in a zip file. */
    static boolean isOne(byte[] start) {
        if (begins(start, MAGIC)) {
            return true;
        }
        if (!begins(start, new byte[] {'P', 'K', 3, 4}) || start.length < 30) {
            return false;
        }
        int end = 30 + (start[26] & 0xff) + ((start[27] & 0xff) << 8);
        return end <= start.length && new String(start, 30, end - 30, StandardCharsets.UTF_8).endsWith(SUFFIX);
    }

    private static boolean begins(byte[] start, byte[] with) {
        for (int i = 0; i < with.length; i++) {
            if (i >= start.length || start[i] != with[i]) {
                return false;
            }
        }
        return true;
    }

    /**
     * Opens a file; arrays are read later.
     *
     * @throws WanException if it cannot be read
     * @throws FormatException if it is broken
     */
    public static NumpyStore open(Path file) {
        Messages.requireFile(file);
        try {
            try (InputStream in = Files.newInputStream(file)) {
                if (begins(in.readNBytes(MAGIC.length), MAGIC)) {
                    return new NumpyStore(file, null);
                }
            }
            ZipFile zip = new ZipFile(file.toFile());
            NumpyStore store = new NumpyStore(file, zip);
            zip.stream()
                    .filter(entry -> entry.getName().endsWith(SUFFIX))
                    .forEach(entry -> store.entries.put(
                            entry.getName().substring(0, entry.getName().length() - SUFFIX.length()), entry));
            return store;
        } catch (ZipException e) {
            throw new FormatException(file, "not a whole .npz file: " + e.getMessage() + "; cut off, or damaged?");
        } catch (IOException e) {
            throw Messages.io(file, "cannot read", e);
        }
    }

    @Override
    public Set<String> names() {
        return zip == null ? Set.of(ONLY) : Collections.unmodifiableSet(entries.keySet());
    }

    @Override
    public TensorView tensor(String name) {
        ZipEntry entry = entries.get(name);
        if (!names().contains(name)) {
            throw new WanException(path + ": no tensor " + Messages.shown(name) + Messages.didYouMean(name, names()));
        }
        try (InputStream in = zip == null || entry == null ? Files.newInputStream(path) : zip.getInputStream(entry)) {
            return read(name, in, entry == null ? Files.size(path) : entry.getSize());
        } catch (ZipException e) {
            throw new FormatException(path, Messages.shown(name) + ": " + e.getMessage() + "; damaged?");
        } catch (IOException e) {
            throw Messages.io(path, "cannot read", e);
        }
    }

    /** numpy/lib/format.py: magic, version, length of a Python dict, the dict, the data. */
    private TensorView read(String name, InputStream in, long bytes) throws IOException {
        byte[] preamble = in.readNBytes(PREAMBLE_BYTES);
        int sizeBytes = preamble.length == PREAMBLE_BYTES && preamble[6] == 1 ? 2 : 4;
        byte[] size = in.readNBytes(sizeBytes);
        if (!begins(preamble, MAGIC) || size.length < sizeBytes || preamble[6] < 1 || preamble[6] > 3) {
            throw broken(name, "no array of NumPy");
        }
        long length = 0;
        for (int i = 0; i < sizeBytes; i++) {
            length |= (size[i] & 0xffL) << (8 * i);
        }
        if (length > MOST_HEADER_BYTES) {
            throw broken(name, "a header of " + length + " bytes");
        }
        String text = new String(in.readNBytes((int) length), StandardCharsets.ISO_8859_1);
        Matcher header = HEADER.matcher(text);
        if (!header.matches()) {
            throw broken(name, Messages.shown(text.strip()));
        }
        Shape shape = shape(name, header.group(5));
        DType dtype = dtype(name, header.group(1), header.group(2), header.group(3));
        long wanted = dtype.bytes(shape.size());
        if (wanted > Math.min(bytes, Integer.MAX_VALUE - 8)) {
            throw broken(name, dtype + " " + shape + " in " + bytes + " bytes");
        }
        byte[] data = in.readNBytes((int) wanted);
        if (data.length < wanted) {
            throw broken(name, "an array that is cut off");
        }
        boolean fortran = header.group(4).equals("True") && shape.rank() > 1;
        return new TensorView(
                name, dtype, shape, MemorySegment.ofArray(fortran ? inCOrder(data, shape, dtype.bits() / 8) : data));
    }

    private FormatException broken(String name, String got) {
        return new FormatException(
                path, Messages.shown(name) + ": expected an array of numbers as NumPy writes them, got " + got);
    }

    private Shape shape(String name, String text) {
        List<Long> dims = new ArrayList<>();
        long size = 1;
        for (String dim : text.replace(" ", "").split(",", -1)) {
            if (dim.length() > 10) {
                throw broken(name, "a shape of (" + Messages.shown(text) + ")");
            }
            if (!dim.isEmpty()) {
                dims.add(Long.parseLong(dim));
                size *= dims.getLast();
            }
            if (dims.size() > 32 || size > Integer.MAX_VALUE) {
                throw broken(name, "a shape of (" + Messages.shown(text) + ")");
            }
        }
        return Shape.of(dims.stream().mapToLong(Long::longValue).toArray());
    }

    private DType dtype(String name, String order, String kind, String bytes) {
        DType dtype = order.equals(">")
                ? null
                : switch (kind + bytes) {
                    case "b1" -> DType.BOOL;
                    case "u1" -> DType.U8;
                    case "i1" -> DType.I8;
                    case "f2" -> DType.F16;
                    case "f4" -> DType.F32;
                    case "f8" -> DType.F64;
                    case "i2" -> DType.I16;
                    case "i4" -> DType.I32;
                    case "i8" -> DType.I64;
                    default -> null;
                };
        if (dtype == null) {
            throw broken(name, "the type " + order + kind + bytes);
        }
        return dtype;
    }

    private static byte[] inCOrder(byte[] data, Shape shape, int width) {
        long[] dims = shape.dims();
        byte[] out = new byte[data.length];
        int[] index = new int[dims.length];
        for (int to = 0; to < data.length; to += width) {
            int from = 0;
            for (int d = dims.length - 1; d >= 0; d--) {
                from = from * (int) dims[d] + index[d];
            }
            System.arraycopy(data, from * width, out, to, width);
            for (int d = dims.length - 1; d >= 0 && ++index[d] == dims[d]; d--) {
                index[d] = 0;
            }
        }
        return out;
    }

    /**
     * What a result says of itself: the JSON object in the bytes of its array {@code metadata}; words as they are, all else as JSON.
     * Empty where there is none.
     */
    @Override
    public Map<String, String> metadata() {
        ZipEntry entry = entries.get(METADATA);
        if (entry == null || entry.getSize() > StrictJson.MAX_BYTES) {
            return Map.of();
        }
        TensorView view = tensor(METADATA);
        if (view.dtype() != DType.U8) {
            return Map.of();
        }
        JsonNode root = StrictJson.tree(path + ": " + METADATA, view.data().toArray(ValueLayout.JAVA_BYTE));
        SequencedMap<String, String> fields = new LinkedHashMap<>();
        root.properties()
                .forEach(field -> fields.put(
                        field.getKey(),
                        field.getValue().isString()
                                ? field.getValue().asString()
                                : field.getValue().toString()));
        return fields;
    }

    @Override
    public Path path() {
        return path;
    }

    @Override
    public void close() {
        if (zip != null) {
            try {
                zip.close();
            } catch (IOException e) {
                throw Messages.io(path, "cannot close", e);
            }
        }
    }
}
