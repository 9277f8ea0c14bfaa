package wan.file;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import wan.op.FormatException;
import wan.op.TensorView;
import wan.op.WanException;

/** A {@code .safetensors.index.json}: its {@code weight_map} says in which file beside it each tensor lies. */
final class ShardedSafetensors implements TensorStore {
    private final Path path;
    private final Map<String, String> metadata;
    private final Map<String, Safetensors> shards = new LinkedHashMap<>();
    private final SequencedMap<String, Safetensors> shardOf = new LinkedHashMap<>();

    private ShardedSafetensors(Path path, Map<String, String> metadata) {
        this.path = path;
        this.metadata = metadata;
    }

    static ShardedSafetensors open(Path index) {
        JsonNode root = StrictJson.tree(index, read(index));
        if (!root.path("weight_map").isObject()) {
            throw new FormatException(index, "has no object weight_map; not the index of a sharded checkpoint?");
        }
        Map<String, String> metadata = new LinkedHashMap<>();
        root.path("metadata").properties().forEach(e -> metadata.put(e.getKey(), text(e.getValue())));
        ShardedSafetensors store = new ShardedSafetensors(index, metadata);
        try {
            root.path("weight_map").properties().forEach(e -> store.add(e.getKey(), e.getValue()));
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
        Safetensors shard = shards.computeIfAbsent(file.stringValue(), this::openShard);
        if (!shard.names().contains(name)) {
            throw new FormatException(
                    path, Messages.shown(name) + " should be in " + shard.path() + " but is not there");
        }
        shardOf.put(name, shard);
    }

    /** The index is as untrusted as any file: it may name files in its own folder, and nothing else. */
    private Safetensors openShard(String name) {
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
            throw new WanException(path + ": shard " + Messages.shown(name) + " is missing from the folder");
        }
        return Safetensors.open(shard);
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
        Safetensors shard = shardOf.get(name);
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
        shards.values().forEach(Safetensors::close);
    }
}
