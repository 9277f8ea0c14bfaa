package wan.spark;

import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.fs.StreamCapabilities;
import org.jspecify.annotations.Nullable;
import wan.op.UsageException;
import wan.op.WanException;
import wan.sweep.SweepStore;

/**
 * The files of a sweep on any file system that Hadoop knows. Whatever is written has a name of its own until it is whole; then it is
 * renamed.
 */
final class HadoopStore implements SweepStore {
    private static final String UNFINISHED = ".tmp";
    private static final int BUFFER = 1 << 20;

    private final Path root;
    private final FileSystem files;

    /** Gives the bytes of a file. */
    private interface Source {
        InputStream open() throws IOException;
    }

    /**
     * Connects to the file system.
     *
     * @throws UsageException if the text names none
     */
    HadoopStore(String uri, Configuration configuration) {
        try {
            Path named = new Path(uri);
            FileSystem found = named.getFileSystem(configuration);
            // No second file with checksums beside each: others read and rename these files too.
            files = found instanceof LocalFileSystem local ? local.getRaw() : found;
            root = files.makeQualified(named);
        } catch (IllegalArgumentException | IOException e) {
            throw new UsageException(
                    uri + ": expected the URI of a folder on a file system that Hadoop knows: " + e.getMessage());
        }
    }

    private Path path(String name) {
        return name.isEmpty() ? root : new Path(root, name);
    }

    private static WanException failure(Path path, String what, IOException e) {
        return new WanException(path + ": " + what + ": " + e.getMessage(), e);
    }

    @Override
    public List<String> names(String folder) {
        List<String> names = new ArrayList<>();
        try {
            RemoteIterator<FileStatus> all = files.listStatusIterator(path(folder));
            while (all.hasNext()) {
                names.add(all.next().getPath().getName());
            }
        } catch (FileNotFoundException e) {
            return List.of();
        } catch (IOException e) {
            throw failure(path(folder), "cannot read", e);
        }
        return names;
    }

    @Override
    public byte @Nullable [] read(String name) {
        try (InputStream in = files.open(path(name))) {
            return in.readAllBytes();
        } catch (FileNotFoundException e) {
            return null;
        } catch (IOException e) {
            throw failure(path(name), "cannot read", e);
        }
    }

    /** Copies a file to this machine. */
    void get(String name, java.nio.file.Path file) {
        try (InputStream in = files.open(path(name))) {
            long _ = Files.copy(in, file);
        } catch (IOException e) {
            throw failure(path(name), "cannot read", e);
        }
    }

    /** Whether a file is there. */
    boolean has(String name) {
        try {
            return files.exists(path(name));
        } catch (IOException e) {
            throw failure(path(name), "cannot read", e);
        }
    }

    @Override
    public void write(String name, byte[] bytes) {
        put(name, () -> new ByteArrayInputStream(bytes), true);
    }

    /** Copies a file from this machine, in place of what is there. */
    void replace(String name, java.nio.file.Path file) {
        put(name, () -> Files.newInputStream(file), true);
    }

    /** Copies a file from this machine, unless there is one: that is the same. */
    void add(String name, java.nio.file.Path file) {
        put(name, () -> Files.newInputStream(file), false);
    }

    private void put(String name, Source source, boolean replace) {
        Path place = path(name);
        Path made = new Path(
                place.getParent(),
                place.getName() + "."
                        + HexFormat.of().toHexDigits(ThreadLocalRandom.current().nextInt()) + UNFINISHED);
        try {
            try (InputStream in = source.open();
                    FSDataOutputStream out = files.create(made, false)) {
                copy(in, out);
                if (out.hasCapability(StreamCapabilities.HSYNC)) {
                    out.hsync();
                }
            }
            rename(made, place, replace);
        } catch (IOException e) {
            throw failure(place, "cannot write", e);
        } finally {
            remove(made);
        }
    }

    private static void copy(InputStream in, FSDataOutputStream out) throws IOException {
        byte[] buffer = new byte[BUFFER];
        for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
            out.write(buffer, 0, n);
        }
    }

    private void rename(Path made, Path place, boolean replace) throws IOException {
        if (!replace && files.exists(place)) {
            return;
        }
        // Some file systems rename over what is there, some do not.
        boolean done = renamed(made, place);
        if (!done && replace) {
            boolean _ = files.delete(place, false);
            done = renamed(made, place);
        }
        if (!done && !files.exists(place)) { // else another one was faster
            throw new IOException("the file system did not rename " + made.getName());
        }
    }

    private boolean renamed(Path made, Path place) throws IOException {
        try {
            return files.rename(made, place);
        } catch (IOException e) {
            if (files.exists(place)) {
                return false;
            }
            throw e;
        }
    }

    /** Removes what processes that have died did not finish in a folder: only when no other one is at work. */
    void removeUnfinished(String folder) {
        names(folder).stream()
                .filter(name -> name.endsWith(UNFINISHED))
                .forEach(name -> remove(path(folder + "/" + name)));
    }

    private void remove(Path path) {
        try {
            boolean _ = files.delete(path, false);
        } catch (IOException e) {
            System.getLogger("wan.spark").log(System.Logger.Level.DEBUG, "{0}: cannot remove: {1}", path, e);
        }
    }

    @Override
    public String toString() {
        return root.toString();
    }
}
