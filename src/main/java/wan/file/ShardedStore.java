package wan.file;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import wan.op.FormatException;
import wan.op.TensorView;
import wan.op.WanException;

/**
 * Several files as one: those of an {@code .index.json}, whose {@code weight_map} says in which file beside it each tensor lies, or all
 * shards of a set that lost its index.
 */
final class ShardedStore implements TensorStore {
    private final Path path;
    private final Map<String, String> metadata;
    private final Map<String, TensorStore> shards = new LinkedHashMap<>();
    private final SequencedMap<String, TensorStore> shardOf = new LinkedHashMap<>();

    private ShardedStore(Path path, Map<String, String> metadata) {
        this.path = path;
        this.metadata = metadata;
    }

    static ShardedStore open(Path index) {
        JsonNode root = StrictJson.tree(index, read(index));
        if (!root.path("weight_map").isObject()) {
            throw new FormatException(index, "has no object weight_map; not the index of a sharded checkpoint?");
        }
        Map<String, String> metadata = new LinkedHashMap<>();
        root.path("metadata").properties().forEach(e -> metadata.put(e.getKey(), text(e.getValue())));
        ShardedStore store = new ShardedStore(index, metadata);
        try {
            root.path("weight_map").properties().forEach(e -> store.add(e.getKey(), e.getValue()));
            return store;
        } catch (RuntimeException e) {
            store.close();
            throw e;
        }
    }

    /**
     * Opens shards that no index lists.
     *
     * @param files at least one, of the same folder
     * @throws FormatException if two of them hold a tensor of the same name
     */
    static ShardedStore open(List<Path> files) {
        ShardedStore store = new ShardedStore(files.getFirst(), new LinkedHashMap<>());
        try {
            for (Path file : files) {
                TensorStore shard = TensorStore.open(file);
                store.shards.put(file.toString(), shard);
                store.metadata.putAll(shard.metadata());
                for (String name : shard.names()) {
                    TensorStore other = store.shardOf.put(name, shard);
                    if (other != null) {
                        throw new FormatException(
                                file, Messages.shown(name) + " is in " + other.path() + " too; shards of two models?");
                    }
                }
            }
            return store;
        } catch (RuntimeException e) {
            store.close();
            throw e;
        }
    }

    private void add(String name, JsonNode file) {
        if (!file.isString()) {
            throw new FormatException(path, "weight_map: " + Messages.shown(name) + ": expected the name of a file");
        }
        TensorStore shard = shards.computeIfAbsent(file.stringValue(), this::openShard);
        if (!shard.names().contains(name)) {
            throw new FormatException(
                    path, Messages.shown(name) + " should be in " + shard.path() + " but is not there");
        }
        shardOf.put(name, shard);
    }

    /** The index is as untrusted as any file: it may name files in its own folder, and nothing else. */
    private TensorStore openShard(String name) {
        Path relative;
        try {
            relative = Path.of(name);
        } catch (InvalidPathException e) {
            throw new FormatException(path, "weight_map: " + Messages.shown(name) + " is not the name of a file", e);
        }
        if (relative.isAbsolute()
                || relative.getNameCount() != 1
                || !relative.equals(relative.getFileName())
                || name.isEmpty()
                || name.equals("..")
                || name.equals(".")) {
            throw new FormatException(
                    path,
                    "weight_map: " + Messages.shown(name) + " is not the name of a file in the index's own folder");
        }
        Path shard = path.resolveSibling(relative);
        if (!Files.exists(shard)) {
            throw new WanException(path + ": shard " + Messages.shown(name)
                    + " is missing from the folder; an unfinished download? fetch it too");
        }
        return TensorStore.open(shard);
    }

    private static byte[] read(Path index) {
        Messages.requireFile(index);
        try {
            if (Files.size(index) > StrictJson.MAX_BYTES) {
                throw new FormatException(index, "over " + StrictJson.MAX_BYTES + " bytes; not an index");
            }
            return Files.readAllBytes(index);
        } catch (IOException e) {
            throw Messages.io(index, "cannot read", e);
        }
    }

    private static String text(JsonNode value) {
        return value.isString() ? value.stringValue() : value.toString();
    }

    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(shardOf.sequencedKeySet());
    }

    @Override
    public TensorView tensor(String name) {
        TensorStore shard = shardOf.get(name);
        if (shard == null) {
            throw new WanException(path + ": no tensor " + Messages.shown(name) + Messages.didYouMean(name, names()));
        }
        return shard.tensor(name);
    }

    @Override
    public Map<String, String> metadata() {
        return Collections.unmodifiableMap(metadata);
    }

    @Override
    public Path path() {
        return path;
    }

    @Override
    public void close() {
        shards.values().forEach(TensorStore::close);
    }
}
