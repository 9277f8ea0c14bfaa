package wan.app.guard;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.Normalizer;
import java.util.Locale;

/** Which file a name stands for, through any links and whether or not it exists. */
final class FileIdentity {
    private static final int MOST_LINKS = 40;

    private FileIdentity() {}

    /** Whether two names stand for one file: through links of any kind, other spellings, and before it is made. */
    static boolean same(Path a, Path b) {
        try {
            if (Files.exists(a) && Files.exists(b)) {
                return Files.isSameFile(a, b);
            }
        } catch (IOException _) {
            return resolved(a).equals(resolved(b));
        }
        if (Files.exists(a) || Files.exists(b)) {
            return resolved(a).equals(resolved(b));
        }
        // Nobody can tell yet whether the file system takes these for one name.
        return folded(resolved(a)).equals(folded(resolved(b)));
    }

    /** Whether a file lies in a folder or below it. */
    static boolean isWithin(Path file, Path folder) {
        return resolved(file).startsWith(resolved(folder));
    }

    /** The place that writing to a name would write to: behind all links, also those that lead nowhere yet. */
    static Path resolved(Path name) {
        Path at = name.toAbsolutePath();
        try {
            for (int i = 0; i < MOST_LINKS && Files.isSymbolicLink(at); i++) {
                Path folder = at.getParent();
                Path to = Files.readSymbolicLink(at);
                at = folder == null ? to : folder.resolve(to);
            }
            if (Files.exists(at)) {
                return at.toRealPath();
            }
            Path folder = at.getParent();
            Path last = at.getFileName();
            if (folder != null && last != null && !at.equals(folder)) {
                return resolved(folder).resolve(last).normalize();
            }
        } catch (IOException _) {
            return at.normalize();
        }
        return at.normalize();
    }

    private static String folded(Path path) {
        return Normalizer.normalize(path.toString(), Normalizer.Form.NFC).toLowerCase(Locale.ROOT);
    }
}
