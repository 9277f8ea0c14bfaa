package wan.app.command;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import wan.op.WanException;
import wan.sweep.SweepFolder;

/** Results that a command is given by the folder of their sweep. */
final class SweepResults {
    private SweepResults() {}

    /** The files, with the results of a sweep in place of its folder. */
    static List<Path> inPlaceOfFolders(List<Path> named) {
        List<Path> files = new ArrayList<>();
        for (Path path : named) {
            if (SweepFolder.is(path)) {
                List<Path> results = SweepFolder.open(path).results();
                if (results.isEmpty()) {
                    throw new WanException(path + ": expected results of a sweep, got none so far");
                }
                files.addAll(results);
            } else {
                files.add(path);
            }
        }
        return files;
    }
}
