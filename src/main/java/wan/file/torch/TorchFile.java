package wan.file.torch;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import wan.op.FormatException;
import wan.op.TensorView;

/**
 * What {@code torch.save} wrote, over bytes in memory that are usually a mapped file: the tensors where they lie, and the plain
 * values around them.
 *
 * <p>The zip format (torch 1.6 and later) is recognised by its first bytes, else the stream format before it is expected (both
 * as in {@code torch/serialization.py}). Opening reads the pickle and checks every tensor's place; no tensor data is touched.
 */
public final class TorchFile {
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** First value of the stream format. */
    private static final BigInteger MAGIC = new BigInteger("1950a86a20f9469cfc6c", 16);

    private static final long PROTOCOL_VERSION = 1001;
    private static final long MAX_PICKLE_BYTES = 256L << 20;

    /** Torch never compresses. Files that were packed again are read, as long as they could not fill the memory. */
    private static final long MAX_INFLATED_BYTES = 1L << 30;

    /** An expanded tensor (stride 0) may be larger than what it repeats; beyond this it is a bomb. */
    private static final long MAX_EXPANDED_BYTES = 256L << 20;

    private final Object file;
    private final Arena arena;
    private final boolean zipped;
    private final Object values;
    private final SequencedMap<String, TorchTensor> tensors;
    private final SequencedMap<String, String> unreadable;
    private final Map<String, Storage> storages = new HashMap<>();
    private final Map<String, MemorySegment> copies = new HashMap<>();
    private final List<Long> headers = new ArrayList<>();
    private long inflatedBytes;

    /** Hands out the bytes of one storage; may be slow the first time. */
    @FunctionalInterface
    private interface Storage {
        MemorySegment bytes();
    }

    /**
     * Reads the structure of a file.
     *
     * @param file for messages
     * @param bytes the whole file
     * @param arena for what cannot be handed out in place: compressed storages, copies of strided tensors
     * @throws FormatException if it is broken, or holds anything but data
     */
    public TorchFile(Object file, MemorySegment bytes, Arena arena) {
        this.file = file;
        this.arena = arena;
        zipped = ZipDirectory.looksLikeZip(bytes);
        values = zipped ? readZip(new ZipDirectory(file, bytes)) : readStream(bytes);
        TensorPaths paths = new TensorPaths(file);
        tensors = paths.collect(values);
        unreadable = paths.unreadable();
    }

    /**
     * Whether a file that begins so is one of these: a zip file, or a pickle of torch's magic number. No safetensors file of a legal
     * header length begins so.
     *
     * @param start the first 4 bytes
     */
    public static boolean beginsLikeOne(byte[] start) {
        String text = new String(start, StandardCharsets.ISO_8859_1);
        return text.equals("PK\u0003\u0004")
                || text.equals("L119")
                || text.matches("\u0080[\u0002\u0003]\u008a\n|\u0080[\u0004\u0005]\u0095.");
    }

    /** Where in the file the zip headers of the storages begin; each is read when its storage is first asked for. */
    public List<Long> headers() {
        return List.copyOf(headers);
    }

    /** The two formats' names, for people. */
    public String format() {
        return zipped ? "PyTorch zip" : "PyTorch legacy";
    }

    /**
     * What torch.load would return: dicts as Map, lists as List, tuples as {@link PyTuple}, ints as Long or BigInteger, floats as
     * Double, bytes as byte[], None as {@link PyNone}, dtypes as {@link PyGlobal}, tensors as {@link TorchTensor}, and all that is
     * no plain data as {@link PyOpaque}. Never cyclic, and at most 100 deep.
     */
    public Object values() {
        return values;
    }

    /**
     * The paths of all tensors, in the order of the file: the keys of the nested dicts joined by {@code /}, elements of lists by
     * their number.
     */
    public Set<String> names() {
        return Collections.unmodifiableSet(tensors.sequencedKeySet());
    }

    /** What else lies in the file and was not read, since it is no plain data: what it is, by its path. Nothing of it was run. */
    public Map<String, String> unreadable() {
        return Collections.unmodifiableMap(unreadable);
    }

    /**
     * One tensor: in place if it is contiguous, else a contiguous copy that is made once.
     *
     * @throws FormatException if there is none of that path, or its bytes lie outside of the file. Checksums of
     *     stored tensors are not read: that would read the whole file
     */
    public synchronized TensorView tensor(String name) {
        TorchTensor tensor = tensors.get(name);
        if (tensor == null) {
            throw broken("has no tensor " + ZipDirectory.printable(name));
        }
        long sizeBytes = tensor.dtype().bytes(tensor.shape().size());
        MemorySegment data;
        if (sizeBytes == 0) {
            data = MemorySegment.NULL;
        } else if (tensor.contiguous()) {
            data = storage(tensor).asSlice(tensor.startBytes(), sizeBytes);
        } else {
            data = copies.computeIfAbsent(name, _ -> contiguousCopy(name, tensor, sizeBytes));
        }
        return new TensorView(name, tensor.dtype(), tensor.shape(), data);
    }

    private MemorySegment storage(TorchTensor tensor) {
        Storage storage = storages.get(tensor.storage().key());
        if (storage == null) {
            throw new IllegalStateException("storages are checked when the file is opened");
        }
        return storage.bytes();
    }

    private MemorySegment contiguousCopy(String name, TorchTensor tensor, long sizeBytes) {
        if (sizeBytes > MAX_EXPANDED_BYTES && sizeBytes > tensor.storage().totalBytes()) {
            throw broken(ZipDirectory.printable(name) + " expands "
                    + tensor.storage().totalBytes() + " bytes to " + sizeBytes + "; at most " + MAX_EXPANDED_BYTES);
        }
        MemorySegment copy = arena.allocate(sizeBytes, Long.BYTES);
        Strided.copy(storage(tensor).asSlice(tensor.startBytes()), tensor, copy);
        return copy;
    }

    // ---- zip format

    private Object readZip(ZipDirectory zip) {
        String root = root(zip);
        ZipDirectory.Entry order = zip.find(root + "byteorder");
        if (order != null) {
            requireLittleEndian(content(zip, order, 16));
        }
        PickleWorld world = new PickleWorld();
        ZipDirectory.Entry entry = zip.find(root + "data.pkl");
        Object read = new Unpickler(file, content(zip, entry, MAX_PICKLE_BYTES), 0, world).read();
        world.storages().forEach((key, storage) -> {
            ZipDirectory.Entry data = zip.find(root + "data/" + key);
            if (data == null) {
                throw broken("lacks the storage " + root + "data/" + ZipDirectory.printable(key));
            }
            if (data.sizeBytes() != storage.totalBytes()) {
                throw broken(data.name() + " has " + data.sizeBytes() + " bytes, not the " + storage.totalBytes()
                        + " of " + storage.elements() + " elements of " + storage.dtype());
            }
            headers.add(data.headerOffset());
            storages.put(key, data.stored() ? () -> zip.data(data) : new Inflated(zip, data));
        });
        return read;
    }

    /** The folder inside the zip that everything lies in: torch names it after the file. */
    private String root(ZipDirectory zip) {
        List<String> roots = zip.entries().keySet().stream()
                .filter(name -> name.endsWith("/data.pkl") && name.indexOf('/') == name.lastIndexOf('/'))
                .map(name -> name.substring(0, name.indexOf('/') + 1))
                .toList();
        if (roots.size() != 1) {
            throw broken(
                    roots.isEmpty()
                            ? "is a zip file without NAME/data.pkl" + whatElse(zip)
                            : "has " + roots.size() + " pickles named data.pkl");
        }
        if (zip.find(roots.getFirst() + "constants.pkl") != null) {
            throw broken("is a TorchScript program (torch.jit.save), not a file of tensors");
        }
        return roots.getFirst();
    }

    private static String whatElse(ZipDirectory zip) {
        Set<String> names = zip.entries().keySet();
        if (names.stream().anyMatch(name -> name.endsWith(".npy"))) {
            return ": an .npz file of NumPy, not of torch.save";
        }
        return names.stream()
                .filter(name -> name.matches("(?i).*\\.(safetensors|pth?|bin|gguf|json)"))
                .findFirst()
                .map(name -> ": an archive with " + ZipDirectory.printable(name) + " in it; unpack it first")
                .orElse("; not written by torch.save?");
    }

    private void requireLittleEndian(MemorySegment text) {
        String order = new String(text.toArray(ValueLayout.JAVA_BYTE), StandardCharsets.ISO_8859_1);
        if (!order.equals("little")) {
            throw broken(
                    order.equals("big")
                            ? "was written on a big-endian machine, which is not supported"
                            : "has the unknown byte order \"" + ZipDirectory.printable(order) + "\"");
        }
    }

    private MemorySegment content(ZipDirectory zip, ZipDirectory.@Nullable Entry entry, long mostBytes) {
        if (entry == null) {
            throw new IllegalStateException("was found before");
        }
        if (entry.sizeBytes() > mostBytes) {
            throw broken(entry.name() + " has " + entry.sizeBytes() + " bytes; at most " + mostBytes);
        }
        return zip.checked(entry, entry.stored() ? MemorySegment.NULL : allocateInflated(entry));
    }

    private MemorySegment allocateInflated(ZipDirectory.Entry entry) {
        // Deflate never gains more than a factor of 1032.
        if (entry.sizeBytes() / 1032 > entry.packedBytes()) {
            throw broken(entry.name() + " claims to inflate " + entry.packedBytes() + " bytes to " + entry.sizeBytes());
        }
        inflatedBytes += entry.sizeBytes();
        if (inflatedBytes > MAX_INFLATED_BYTES) {
            throw broken(
                    "has over " + (MAX_INFLATED_BYTES >> 20) + " MiB of compressed storages; torch.save writes them"
                            + " uncompressed: pack it again with `zip -0`");
        }
        return arena.allocate(entry.sizeBytes(), Long.BYTES);
    }

    /** A compressed storage, inflated when it is first asked for. Guarded by the file's lock. */
    private final class Inflated implements Storage {
        private final ZipDirectory zip;
        private final ZipDirectory.Entry entry;
        private @Nullable MemorySegment content;

        Inflated(ZipDirectory zip, ZipDirectory.Entry entry) {
            this.zip = zip;
            this.entry = entry;
        }

        @Override
        public MemorySegment bytes() {
            MemorySegment bytes = content;
            if (bytes == null) {
                bytes = content(zip, entry, MAX_INFLATED_BYTES);
                content = bytes;
            }
            return bytes;
        }
    }

    // ---- stream format

    private Object readStream(MemorySegment bytes) {
        PickleWorld world = new PickleWorld();
        if (!beginsLikeOne(bytes.asSlice(0, Math.min(4, bytes.byteSize())).toArray(ValueLayout.JAVA_BYTE))) {
            throw broken("is not a file of torch.save: neither a zip file nor its pickle; an unfinished download?");
        }
        Unpickler magic = new Unpickler(file, bytes, 0, world);
        if (!magic.read().equals(MAGIC)) {
            throw broken("is a pickle, but not one that torch.save wrote");
        }
        Unpickler protocol = new Unpickler(file, bytes, magic.position(), world);
        if (!protocol.read().equals(PROTOCOL_VERSION)) {
            throw broken("is of an unknown version of torch's stream format");
        }
        Unpickler system = new Unpickler(file, bytes, protocol.position(), world);
        if (!(system.read() instanceof Map<?, ?> info) || !Boolean.TRUE.equals(info.get("little_endian"))) {
            throw broken("was written on a big-endian machine, which is not supported");
        }
        Unpickler data = new Unpickler(file, bytes, system.position(), world);
        Object read = data.read();
        Unpickler keys = new Unpickler(file, bytes, data.position(), world);
        if (!(keys.read() instanceof List<?> keyList)) {
            throw broken("lacks the list of its storages");
        }
        readStorages(bytes, keys.position(), keyList, world);
        return read;
    }

    /** One behind the other: the number of elements in 8 bytes, then the elements. */
    private void readStorages(MemorySegment bytes, long start, List<?> keys, PickleWorld world) {
        long at = start;
        for (Object key : keys) {
            TorchStorage storage = key instanceof String name ? world.storages().get(name) : null;
            if (storage == null && world.foreignStorages().containsKey(key)) {
                throw broken("has a storage of " + world.foreignStorages().get(key)
                        + ", after which the other entries cannot be found; save it again in Python without "
                        + "_use_new_zipfile_serialization=False");
            }
            if (storage == null) {
                throw broken("lists a storage that no tensor uses");
            }
            long left = bytes.byteSize() - at - Long.BYTES;
            if (left < storage.totalBytes()) {
                throw broken("ends within storage " + ZipDirectory.printable(storage.key()) + ": "
                        + storage.totalBytes() + " bytes expected, " + Math.max(0, left)
                        + " left; an unfinished download? fetch the file again");
            }
            long elements = bytes.get(LONG, at);
            if (elements != storage.elements()) {
                throw broken("storage " + ZipDirectory.printable(storage.key()) + " has " + elements + " elements, not "
                        + storage.elements());
            }
            MemorySegment content = bytes.asSlice(at + Long.BYTES, storage.totalBytes());
            if (storages.put(storage.key(), () -> content) != null) {
                throw broken("lists the storage " + ZipDirectory.printable(storage.key()) + " twice");
            }
            at += Long.BYTES + storage.totalBytes();
        }
        for (String key : world.storages().keySet()) {
            if (!storages.containsKey(key)) {
                throw broken("lacks the storage " + ZipDirectory.printable(key));
            }
        }
    }

    private FormatException broken(String problem) {
        return new FormatException(file, problem);
    }
}
