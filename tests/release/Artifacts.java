package release;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** Makes what a release has besides the jar: the documentation as a site, and the Python package as a wheel. Maven runs it. */
public final class Artifacts {
    private Artifacts() {}

    /**
     * Makes them.
     *
     * @param args the project's folder, the folder to write to, the version
     */
    public static void main(String[] args) throws IOException {
        Path root = Path.of(args[0]);
        Path out = Path.of(args[1]);
        Wheel.write(root, out, args[2]);
        Path site = out.resolve("site");
        Site.write(root, site);
        List<String> broken = Site.brokenLinks(site);
        if (!broken.isEmpty()) {
            throw new IOException(site + ": links that lead nowhere: " + String.join(", ", broken));
        }
    }
}
