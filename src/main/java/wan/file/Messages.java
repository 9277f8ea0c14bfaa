package wan.file;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermission;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import wan.op.WanException;

/** The wording of this package's errors: one line each, whatever strange text a file holds. */
public final class Messages {
    private static final int SHOWN_CHARS = 120;
    private static final int MOST_LINKS = 40;
    private static final int MOST_NAMES_COMPARED = 10_000;

    private Messages() {}

    /** Text out of a file as it may stand in a message: on one line, without control characters, not too long. */
    public static String shown(String text) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < Math.min(text.length(), SHOWN_CHARS); i++) {
            char c = text.charAt(i);
            boolean plain = !Character.isISOControl(c)
                    && Character.getType(c) != Character.FORMAT
                    && !Character.isSurrogate(c)
                    && c != '\u2028';
            out.append(plain ? String.valueOf(c) : String.format(Locale.ROOT, "\\u%04x", (int) c));
        }
        return text.length() > SHOWN_CHARS
                ? out.append("... (")
                        .append(text.length())
                        .append(" characters)")
                        .toString()
                : out.toString();
    }

    /** The first names of a list that came out of a file, and how many there are besides. */
    public static String listed(Collection<String> names, int most) {
        String first = names.stream().limit(most).map(Messages::shown).collect(Collectors.joining(", "));
        return names.size() > most ? first + " and " + (names.size() - most) + " more" : first;
    }

    /** An input or output error as the user can act on it. */
    public static WanException io(Path file, String doing, IOException e) {
        String reason = switch (e) {
            case NoSuchFileException _ -> "no such file or folder";
            case AccessDeniedException _ -> "permission denied";
            case FileSystemException f when f.getReason() != null -> f.getReason();
            default -> e.getMessage() == null ? e.getClass().getSimpleName() : shown(e.getMessage());
        };
        return new WanException(file + ": " + doing + ": " + reason, e);
    }

    /** Opening anything but a regular file is refused: a folder cannot be read, and a named pipe would wait forever. */
    public static void requireFile(Path file) {
        if (Files.isDirectory(file)) {
            throw new WanException(file + ": is a folder, not a file");
        }
        if (!Files.exists(file)) {
            throw new WanException(file + ": no such file");
        }
        if (!Files.isRegularFile(file)) {
            throw new WanException(file + ": is not a regular file");
        }
    }

    /**
     * Where a file is to be put: the target itself, or what it links to, there or not.
     *
     * @throws WanException if something is there that may not be written, or is not a regular file: a folder, a device
     */
    static Path destination(Path target) {
        if (Files.exists(target) && !Files.isRegularFile(target)) {
            throw new WanException(
                    target + ": cannot write: is " + (Files.isDirectory(target) ? "a folder" : "not a regular file"));
        }
        try {
            Path place = target;
            for (int links = 0; Files.isSymbolicLink(place); links++) {
                if (links == MOST_LINKS) {
                    throw new WanException(target + ": cannot write: is a link that leads nowhere but to links");
                }
                place = place.resolveSibling(Files.readSymbolicLink(place));
            }
            // A file is replaced by moving another there, for which its own permissions do not matter; its owner's wish
            // does.
            if (Files.exists(place) && (!Files.isWritable(place) || isReadOnly(place))) {
                throw new WanException(target + ": cannot write: may only be read");
            }
            return place;
        } catch (IOException e) {
            throw io(target, "cannot write", e);
        }
    }

    /** Whether nobody may write it; the superuser may write anything. */
    private static boolean isReadOnly(Path file) throws IOException {
        PosixFileAttributeView view = Files.getFileAttributeView(file, PosixFileAttributeView.class);
        return view != null
                && Collections.disjoint(
                        view.readAttributes().permissions(),
                        EnumSet.of(
                                PosixFilePermission.OWNER_WRITE,
                                PosixFilePermission.GROUP_WRITE,
                                PosixFilePermission.OTHERS_WRITE));
    }

    /**
     * Gives a file that is about to replace another the other's permissions: what only its owner may read stays so.
     *
     * @param old need not be there
     */
    static void keepPermissions(Path old, Path replacement) throws IOException {
        PosixFileAttributeView from = Files.getFileAttributeView(old, PosixFileAttributeView.class);
        PosixFileAttributeView to = Files.getFileAttributeView(replacement, PosixFileAttributeView.class);
        if (from != null && to != null && Files.exists(old)) {
            to.setPermissions(from.readAttributes().permissions());
        }
    }

    /** {@code ; did you mean a, b?}, or nothing if no name is like the one asked for. */
    public static String didYouMean(String name, Collection<String> names) {
        record Candidate(String name, int distance) {}
        List<Candidate> near = names.stream()
                .limit(MOST_NAMES_COMPARED)
                .filter(other -> Math.abs(other.length() - name.length()) <= allowed(name))
                .map(other -> new Candidate(other, distance(name, other)))
                .filter(candidate -> candidate.distance <= allowed(name))
                .sorted(Comparator.comparingInt(Candidate::distance).thenComparing(Candidate::name))
                .limit(3)
                .toList();
        return near.isEmpty()
                ? ""
                : near.stream().map(c -> shown(c.name)).collect(Collectors.joining(", ", "; did you mean ", "?"));
    }

    private static int allowed(String name) {
        return Math.min(20, Math.max(3, name.length() / 3));
    }

    /** Levenshtein's edit distance. */
    private static int distance(String a, String b) {
        int[] row = new int[b.length() + 1];
        for (int j = 0; j < row.length; j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j < row.length; j++) {
                int substituted = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(substituted, 1 + Math.min(row[j], row[j - 1]));
            }
        }
        return row[b.length()];
    }
}
