package wan.file;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import wan.op.WanException;

/**
 * Finds the file of tensors that a path means, in folders as they are found in practice: under a usual name, in a subfolder, in
 * Hugging Face's cache, in shards with or without an index, or as the only file that holds what is looked for.
 *
 * @param kind the kind of tensors to look for, if several files could be meant
 * @param names the usual names, best first, which may lie in subfolders
 * @param subfolders that are searched like the folder itself
 */
public record TensorFiles(Contents kind, List<String> names, List<String> subfolders) {
    private static final Pattern SHARD =
            Pattern.compile("(.*?)[-_.](\\d{1,6})[-_.]of[-_.](\\d{1,6})(\\.(?:safetensors|bin|pth?))");
    private static final List<String> SUFFIXES = List.of(".safetensors", ".pt", ".pth", ".bin", ".ckpt");
    private static final String INDEX = ".index.json";
    /** What downloaders add to the name of a file until it is whole. */
    private static final List<String> UNFINISHED =
            List.of(".part", ".partial", ".incomplete", ".crdownload", ".download", ".aria2", ".tmp");

    private static final String LOST_LINK = " (a link to a file that is missing)";
    private static final int MOST_NAMED = 8;
    private static final int MOST_FOLDERS = 200;

    /** Copies the lists. */
    public TensorFiles {
        names = List.copyOf(names);
        subfolders = List.copyOf(subfolders);
    }

    /**
     * Opens what a path means: a file, one of several shards, which stands for all, or a folder.
     *
     * @throws WanException if there is nothing, or several files could be meant, which are named
     */
    public TensorStore open(Path path) {
        return open(find(path));
    }

    /** Opens what was found. */
    public static TensorStore open(List<Path> files) {
        return files.size() == 1 ? TensorStore.open(files.getFirst()) : ShardedStore.open(files);
    }

    /**
     * The file or index, or all shards of a set without an index.
     *
     * @throws WanException if there is nothing, or several files could be meant, which are named
     */
    public List<Path> find(Path path) {
        if (!Files.isDirectory(path)) {
            Messages.requireFile(path);
            return ofFile(path);
        }
        Path folder = snapshot(path);
        List<List<Path>> candidates = in(folder);
        if (candidates.isEmpty()) {
            candidates = below(folder);
        }
        if (candidates.size() > 1) {
            candidates = ofKind(candidates);
        }
        if (candidates.size() == 1) {
            List<Path> files = candidates.getFirst();
            Contents contents = names.stream().anyMatch(files.getFirst()::endsWith) ? kind : contents(files);
            if (contents == kind || contents == Contents.UNKNOWN || contents == Contents.QUANTIZED) {
                return files;
            }
            throw new WanException(folder + ": no weights: expected " + names.getFirst() + ", found "
                    + folder.relativize(files.getFirst()) + contents.itIs());
        }
        throw new WanException(
                folder + ": no weights: expected " + names.getFirst() + (names.size() > 1 ? " or " + names.get(1) : "")
                        + ", found " + (candidates.isEmpty() ? contents(folder) : several(folder, candidates)));
    }

    private static String several(Path folder, List<List<Path>> candidates) {
        return candidates.size() + " that could be meant: "
                + named(candidates.stream()
                        .map(files -> String.valueOf(folder.relativize(files.getFirst())))
                        .toList())
                + "; name the one that is";
    }

    private static String contents(Path folder) {
        List<String> found = list(folder).stream()
                .map(file -> file.getFileName() + (Files.isDirectory(file) ? "/" : Files.exists(file) ? "" : LOST_LINK))
                .toList();
        if (found.isEmpty()) {
            return "an empty folder";
        }
        boolean unfinished = found.stream()
                .anyMatch(
                        name -> name.endsWith(LOST_LINK) || UNFINISHED.stream().anyMatch(name::endsWith));
        return "only " + named(found) + (unfinished ? "; an unfinished download? fetch it again" : "");
    }

    private static String named(List<String> names) {
        int rest = names.size() - MOST_NAMED;
        return Messages.shown(String.join(", ", names.subList(0, Math.min(names.size(), MOST_NAMED))))
                + (rest > 0 ? " and " + rest + " more" : "");
    }

    /**
     * What Hugging Face's cache holds of a model: {@code models--X/snapshots/REVISION}, where {@code refs/main} names the revision. Any
     * other folder stands for itself.
     */
    public static Path snapshot(Path folder) {
        Path root = folder;
        if (!Files.isDirectory(root.resolve("snapshots"))) {
            List<Path> models = list(root).stream()
                    .filter(each -> String.valueOf(each.getFileName()).startsWith("models--"))
                    .toList();
            if (models.size() != 1) {
                return root;
            }
            root = models.getFirst();
        }
        Path snapshots = root.resolve("snapshots");
        if (!Files.isDirectory(snapshots)) {
            return root;
        }
        try {
            Path main = root.resolve("refs/main");
            if (Files.isRegularFile(main)) {
                Path revision =
                        snapshots.resolve(Files.readString(main).strip()).normalize();
                if (snapshots.equals(revision.getParent()) && Files.isDirectory(revision)) {
                    return revision;
                }
            }
        } catch (IOException | IllegalArgumentException _) {
            // The folders themselves say the rest.
        }
        List<Path> revisions =
                list(snapshots).stream().filter(Files::isDirectory).toList();
        if (revisions.size() > 1) {
            throw new WanException(snapshots + ": expected one revision, found "
                    + named(revisions.stream()
                            .map(each -> String.valueOf(each.getFileName()))
                            .toList())
                    + "; name the one that is meant");
        }
        return revisions.isEmpty() ? root : revisions.getFirst();
    }

    /** One of the usual names, or else whatever files of tensors lie there; of a set of shards, all. */
    private List<List<Path>> in(Path folder) {
        for (String name : names) {
            Path file = folder.resolve(name);
            if (Files.isRegularFile(file)) {
                return List.of(List.of(file));
            }
        }
        for (String subfolder : subfolders) {
            if (Files.isDirectory(folder.resolve(subfolder))) {
                List<List<Path>> inside = in(folder.resolve(subfolder));
                if (!inside.isEmpty()) {
                    return inside;
                }
            }
        }
        List<Path> files = list(folder).stream().filter(Files::isRegularFile).toList();
        List<Path> indices =
                files.stream().filter(file -> file.toString().endsWith(INDEX)).toList();
        String listed = indices.stream().map(TensorFiles::text).collect(Collectors.joining());
        Map<String, List<Path>> candidates = new LinkedHashMap<>();
        for (Path file : files) {
            String name = String.valueOf(file.getFileName());
            if (!listed.contains('"' + name + '"')
                    && SUFFIXES.stream().anyMatch(name.toLowerCase(Locale.ROOT)::endsWith)) {
                Matcher shard = SHARD.matcher(name);
                String set = shard.matches() ? shard.group(1) + " of " + shard.group(3) + shard.group(4) : name;
                candidates.computeIfAbsent(set, _ -> ofFile(file));
            }
        }
        return Stream.concat(indices.stream().map(List::of), candidates.values().stream())
                .toList();
    }

    private static String text(Path index) {
        try {
            return Files.size(index) > StrictJson.MAX_BYTES ? "" : Files.readString(index, StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            throw Messages.io(index, "cannot read", e);
        }
    }

    /** What lies in the folders of a folder, two deep: a trainer's checkpoints, a program's folder of models, a cache of several. */
    private List<List<Path>> below(Path folder) {
        List<List<Path>> found = new ArrayList<>();
        List<Path> level = folders(folder);
        for (int depth = 0; depth < 2 && found.isEmpty(); depth++) {
            List<Path> next = new ArrayList<>();
            for (Path each : level.subList(0, Math.min(level.size(), MOST_FOLDERS))) {
                found.addAll(in(snapshot(each)));
                next.addAll(folders(each));
            }
            level = next;
        }
        return found.size() == 1 ? ofKind(found) : found;
    }

    private static List<Path> folders(Path folder) {
        return list(folder).stream()
                .filter(each -> Files.isDirectory(each)
                        && !String.valueOf(each.getFileName()).startsWith("."))
                .toList();
    }

    /** Those that hold what is looked for; all, if none does. */
    private List<List<Path>> ofKind(List<List<Path>> candidates) {
        List<List<Path>> right = candidates.stream().filter(this::isOfKind).toList();
        return right.isEmpty() ? candidates : right;
    }

    private boolean isOfKind(List<Path> files) {
        return contents(files) == kind;
    }

    private static Contents contents(List<Path> files) {
        try (TensorStore store = open(files)) {
            return Contents.of(store.names());
        } catch (WanException _) {
            return Contents.UNKNOWN; // it says why when it is opened
        }
    }

    /** A file, or the whole set that it is a shard of. */
    private static List<Path> ofFile(Path file) {
        Matcher shard = SHARD.matcher(String.valueOf(file.getFileName()));
        int count = shard.matches() ? Integer.parseInt(shard.group(3)) : 1;
        if (count < 2 || FileKind.of(file) == FileKind.JSON) {
            return List.of(file);
        }
        Path index = file.resolveSibling(shard.group(1) + shard.group(4) + INDEX);
        if (Files.isRegularFile(index)) {
            return List.of(index);
        }
        Map<Integer, Path> set = new TreeMap<>();
        for (Path other : list(file.toAbsolutePath().resolveSibling(""))) {
            Matcher name = SHARD.matcher(String.valueOf(other.getFileName()));
            if (name.matches()
                    && name.group(1).equals(shard.group(1))
                    && name.group(4).equals(shard.group(4))
                    && Integer.parseInt(name.group(3)) == count) {
                set.put(Integer.parseInt(name.group(2)), file.resolveSibling(String.valueOf(other.getFileName())));
            }
        }
        int first = set.containsKey(0) ? 0 : 1;
        List<String> missing = new ArrayList<>();
        for (int i = first; i < first + count; i++) {
            if (!set.containsKey(i)) {
                missing.add(String.valueOf(i));
            }
        }
        if (!missing.isEmpty()) {
            throw new WanException(file + ": expected all " + count + " shards beside it, found " + set.size()
                    + "; missing: " + named(missing) + "; an unfinished download? fetch them too");
        }
        return List.copyOf(set.values());
    }

    private static List<Path> list(Path folder) {
        try (Stream<Path> list = Files.list(folder)) {
            return list.sorted().toList();
        } catch (IOException e) {
            throw Messages.io(folder, "cannot read", e);
        }
    }
}
